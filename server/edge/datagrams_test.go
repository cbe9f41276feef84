package edge_test

import (
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/route"
)

// udpPort opens a udp endpoint on a free port and returns its address.
func (s *site) udpPort(addr string, change ...func(*member)) (netip.AddrPort, *member) {
	s.t.Helper()
	for range 20 {
		probe, err := net.ListenPacket("udp", "127.0.0.1:0")
		must(s.t, err)
		at := probe.LocalAddr().(*net.UDPAddr).AddrPort()
		must(s.t, probe.Close())
		if s.edge.OpenPort(postern.UDP, at.Port()) != nil {
			continue // somebody was faster
		}
		return at, s.serve((postern.URL{Scheme: postern.UDP, Host: "udp." + domain, Port: at.Port()}).String(), addr, change...)
	}
	s.t.Fatal("no free port")
	return netip.AddrPort{}, nil
}

// source is a visitor's socket.
func source(t *testing.T, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// hears tells whether a datagram comes back.
func hears(t *testing.T, conn *net.UDPConn, text string, within time.Duration) bool {
	t.Helper()
	must(t, conn.SetDeadline(time.Now().Add(within)))
	_, _ = conn.Write([]byte(text)) // a report about an earlier one is no matter
	buffer := make([]byte, 2048)
	for {
		n, err := conn.Read(buffer)
		if err != nil && errors.Is(err, net.ErrClosed) || err != nil && isTimedOut(err) {
			return false
		}
		if string(buffer[:n]) == text {
			return true
		}
	}
}

func isTimedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// hearsSoon asks until something comes back.
func hearsSoon(t *testing.T, conn *net.UDPConn, text string) {
	t.Helper()
	eventually(t, text, func() bool { return hears(t, conn, text, 100*time.Millisecond) })
}

// A source has a flow, counted as a connection, which ends with the endpoint's port.
func TestFlows(t *testing.T) {
	out := new(lockedBuffer)
	s := start(t, func(c *edge.Config) { c.AccessLog = slog.New(slog.NewJSONHandler(out, nil)) })
	at, m := s.udpPort(rawUpstream(t, echo))
	one, two := source(t, at), source(t, at)
	hearsSoon(t, one, "one")
	hearsSoon(t, two, "two")
	if n := s.edge.Visitors(); n != 2 || m.opened.Load() != 2 {
		t.Errorf("%d visitors, %d streams", n, m.opened.Load())
	}
	if h := m.header(0); h.Scheme != postern.UDP || h.ClientAddr.String() != one.LocalAddr().String() {
		t.Errorf("the stream's header is %+v", h)
	}
	s.edge.ClosePort(postern.UDP, at.Port(), false)
	eventually(t, "the flows end", func() bool { return s.edge.Visitors() == 0 })
	eventually(t, "the access log has both", func() bool {
		return strings.Count(out.String(), `"kind":"udp"`) == 2 && strings.Contains(out.String(), `"datagrams_in":`)
	})
	if hears(t, one, "closed", 50*time.Millisecond) {
		t.Error("a closed port answers")
	}
}

// Restrictions and limits hold for every flow, and who is refused gets no answer.
func TestFlowsAreRestricted(t *testing.T) {
	var doors access.Current
	s := start(t, func(c *edge.Config) { c.Access = &doors })
	at, m := s.udpPort(rawUpstream(t, echo))
	doors.Set(restriction(true, allow("192.0.2.0/24")))
	conn := source(t, at)
	if hears(t, conn, "out", 100*time.Millisecond) || m.opened.Load() != 0 {
		t.Error("an address that is refused is served")
	}
	doors.Set(restriction(true, allow("127.0.0.0/8")))
	hearsSoon(t, source(t, at), "in")
	hearsSoon(t, conn, "in, after a while")
}

func TestFlowsAreLimited(t *testing.T) {
	s := start(t)
	at, m := s.udpPort(rawUpstream(t, echo), metered(postern.Limits{Connections: 2}, postern.Limits{}))
	hearsSoon(t, source(t, at), "one")
	hearsSoon(t, source(t, at), "two")
	if hears(t, source(t, at), "three", 100*time.Millisecond) {
		t.Error("a third flow where two are allowed")
	}
	s.edge.ClosePort(postern.UDP, at.Port(), false)
	eventually(t, "the places are given back", func() bool { return m.meter.Account().Usage().Connections == 0 })
	if u := m.meter.Usage(); u.Total.BytesIn == 0 || u.Total.BytesOut == 0 {
		t.Errorf("usage %+v", u)
	}
}

// An address has no more flows than connections; they give their places back.
func TestFlowsOfAnAddressAreCapped(t *testing.T) {
	s := start(t, func(c *edge.Config) { c.Limits.ConnectionsPerAddress = 1 })
	at, _ := s.udpPort(rawUpstream(t, echo))
	hearsSoon(t, source(t, at), "one")
	if hears(t, source(t, at), "two", 100*time.Millisecond) {
		t.Error("two flows of one address")
	}
}

// Datagrams that come while an agent returns are answered when it has.
func TestFlowsWait(t *testing.T) {
	s, recent := patient(t)
	at, _ := s.udpPort(rawUpstream(t, echo))
	url := postern.URL{Scheme: postern.UDP, Host: "udp." + domain, Port: at.Port()}
	conn := source(t, at)
	s.clear()
	recent.Lose(url)
	s.edge.ClosePort(postern.UDP, at.Port(), true)
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err := conn.Write([]byte("early"))
	must(t, err)
	must(t, s.edge.OpenPort(postern.UDP, at.Port()))
	s.serve(url.String(), rawUpstream(t, echo))
	buffer := make([]byte, 64)
	n, err := conn.Read(buffer)
	must(t, err)
	if string(buffer[:n]) != "early" {
		t.Errorf("%q", buffer[:n])
	}
	s.edge.ClosePort(postern.UDP, at.Port(), false)
}

// B5-4: the socket goes over to another process, in which the same source is served.
func TestFlowsAreHandedOver(t *testing.T) {
	before, after := start(t), start(t, func(c *edge.Config) { c.Recent = new(route.Recent) })
	at, _ := before.udpPort(rawUpstream(t, echo))
	conn := source(t, at)
	hearsSoon(t, conn, "before")
	must(t, before.edge.HandOver(func(ports edge.PortSockets) error {
		if len(ports.UDP) != 1 || ports.UDP[at.Port()] == nil {
			t.Fatalf("%d UDP sockets", len(ports.UDP))
		}
		file := testkit.Duplicate(t, ports.UDP[at.Port()])
		defer file.Close()
		socket, err := net.FilePacketConn(file)
		must(t, err)
		after.edge.AdoptPorts(edge.PortSockets{UDP: map[uint16]*net.UDPConn{at.Port(): socket.(*net.UDPConn)}})
		return nil
	}))
	must(t, after.edge.OpenPort(postern.UDP, at.Port()))
	m := after.serve((postern.URL{Scheme: postern.UDP, Host: "udp." + domain, Port: at.Port()}).String(), rawUpstream(t, echo))
	after.edge.ServeAdopted()
	// What comes while the one closes and the other begins may still be the former's.
	eventually(t, "the successor answers", func() bool {
		return hears(t, conn, "after", 100*time.Millisecond) && m.opened.Load() > 0
	})
	eventually(t, "the flow that was left ends", func() bool { return before.edge.Visitors() == 0 })
	after.edge.ClosePort(postern.UDP, at.Port(), false)
}

// A UDP port that another program has is refused by code, the TCP port of its number is
// not meant.
func TestUDPPortUnavailable(t *testing.T) {
	s := start(t)
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	port := taken.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	if err := s.edge.OpenPort(postern.UDP, port); !postern.HasCode(err, postern.CodePortUnavailable) {
		t.Errorf("%v", err)
	}
}
