package main

import (
	"net"
	"time"
)

const (
	datagramRate = 50_000
	datagramSize = 200
	udpSources   = 500
)

// gatewayPhase measures what a private gateway does: connections and datagrams of apps
// to services behind a connector.
func gatewayPhase(res *Result, s *SUT, v Vars, d time.Duration) error {
	r, err := start(s, v, 0, 0)
	if err != nil {
		return err
	}
	defer r.stop()
	wait := *quietFor
	p := phase{res, r, &wait}
	a := r.tcp()
	for _, b := range []struct {
		name string
		b    func() *bulk
		up   bool
	}{
		{"gw.down1", func() *bulk { return tcpDownload(a, 1) }, false},
		{"gw.down32", func() *bulk { return tcpDownload(a, 32) }, false},
		{"gw.up1", func() *bulk { return tcpUpload(a, 1) }, true},
		{"gw.up32", func() *bulk { return tcpUpload(a, 32) }, true},
	} {
		if !wanted(b.name) {
			continue
		}
		r.quiet(&wait)
		p.window(b.name, b.b(), d, b.up)
		time.Sleep(100 * time.Millisecond)
	}
	if wanted("gw.connect") {
		p.run("gw.connect", true, func() (*lat, time.Duration) { return tcpConnect(a, 32, d) })
	}
	if wanted("gw.echo1") {
		p.run("gw.echo1", true, func() (*lat, time.Duration) { return tcpEcho(a, 1, d) })
	}
	if wanted("gw.udp") {
		p.udp(expand(s.UDP, r.v), d)
	}
	return nil
}

func (p phase) udp(a string, d time.Duration) {
	if a == "" {
		return
	}
	p.run("gw.udp.echo1", true, func() (*lat, time.Duration) { return udpEcho(a, 1, 64, d) })
	p.run("gw.udp.echo32", true, func() (*lat, time.Duration) { return udpEcho(a, 32, 64, d) })
	p.r.quiet(p.budget)
	before, m0 := upstream(upHTTP).Datagrams, p.r.mark()
	sent, err := udpOneWay(a, datagramRate, datagramSize, 2*d)
	if err != nil {
		p.res.fail(p.r.s.Name, "gw.udp.oneway: %v", err)
	}
	time.Sleep(500 * time.Millisecond) // what is on its way arrives
	arrived, m1 := upstream(upHTTP).Datagrams-before, p.r.mark()
	if sent > 0 {
		p.add("gw.udp.oneway.sent_pps", float64(sent)/(2*d).Seconds())
		p.add("gw.udp.oneway.lost_percent", 100*(1-float64(arrived)/float64(sent)))
		p.cpu("gw.udp.oneway", "1m", float64(arrived), 1e6, m0, m1)
	}
	p.add("gw.udp.sources", float64(udpAnswered(a, udpSources)))
}

// idlePhase measures what idle connections of apps cost each side.
func idlePhase(res *Result, s *SUT, v Vars, n int) error {
	r, err := start(s, v, 0, 0)
	if err != nil {
		return err
	}
	defer r.stop()
	var wait time.Duration
	p := phase{res, r, &wait}
	time.Sleep(2 * time.Second)
	s0, a0 := r.server.mem(), r.agent.mem()
	p.add("idle.agent_anon_kib", float64(a0.Anon))
	p.add("idle.server_anon_kib", float64(s0.Anon))
	var open []net.Conn
	for range n {
		c, err := tcpMode(r.tcp(), 'E')
		if err == nil {
			open = append(open, c)
			var b [1]byte
			if _, err = c.Write(b[:]); err == nil {
				c.SetReadDeadline(time.Now().Add(3 * time.Second))
				_, err = c.Read(b[:])
			}
		}
		if err != nil {
			res.fail(s.Name, "idle: %d of %d connections: %v", len(open), n, err)
			break
		}
	}
	time.Sleep(3 * time.Second)
	s1, a1 := r.server.mem(), r.agent.mem()
	if k := float64(len(open)); k > 0 {
		p.add("idle.conns", k)
		p.add("idle.server_kib_per_conn", float64(s1.RSS-s0.RSS)/k)
		p.add("idle.agent_kib_per_conn", float64(a1.RSS-a0.RSS)/k)
	}
	for _, c := range open {
		c.Close()
	}
	return nil
}

// thinPhase measures small requests beside eight downloads on a link of so many bytes a
// second, which all of the agent's connections share.
func thinPhase(res *Result, s *SUT, v Vars, d, rtt time.Duration, inflight, rate, queue int) error {
	if s.SkipWAN {
		return nil
	}
	thinLink.rate, thinLink.queue = rate, queue
	defer func() { thinLink.rate = 0 }()
	r, err := start(s, v, rtt, inflight)
	if err != nil {
		return err
	}
	defer r.stop()
	wait := *quietFor / 2
	p := phase{res, r, &wait}
	t := newTarget(r.url(), expand(s.Host, r.v))
	p.run("thin.small", false, func() (*lat, time.Duration) { return t.smallKeepAlive(1, d, 2*time.Millisecond) })
	b := tcpDownload(r.tcp(), 8)
	time.Sleep(2 * time.Second)
	n0, t0 := b.n.Load(), time.Now()
	p.run("thin.hol", false, func() (*lat, time.Duration) { return t.smallKeepAlive(1, 2*d, 2*time.Millisecond) })
	p.add("thin.hol.bulk_mibs", float64(b.n.Load()-n0)/time.Since(t0).Seconds()/(1<<20))
	b.stop()
	return nil
}
