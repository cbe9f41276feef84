package gateway

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/quota"
)

const (
	// openTime is how long a connector's session may have no room for a stream.
	openTime = 10 * time.Second
	// takeTime is how long a consumer may take nothing of what is sent to it. One that has
	// nothing to say and nothing to take may be silent for ever.
	takeTime = 5 * time.Minute
)

// Consumer is who a connection is from.
type Consumer struct {
	Addr netip.AddrPort // that connected, or from which its session comes

	// Of consumers that came through Runtime.Join.
	Session    postern.SessionID
	Account    postern.AccountID
	Credential postern.CredentialID
}

// visit is one consumer's connection, or UDP flow, while it is under way.
type visit struct {
	endpoint *endpoint
	consumer Consumer
	allowed  func() bool
	began    time.Time
	quota    quota.Visit
	member   *member // that has it, nil for none
	in, out  int64   // bytes, when it is over

	conn   relay.Conn // the consumer's; nil for a flow
	stream counted
	ctx    context.Context // of what is under way: first to find a connector, then to relay

	mu     sync.Mutex
	cancel context.CancelCauseFunc // of ctx
	cause  *postern.Error          // why it was stopped, nil if it was not
}

// during has what is under way end with parent, or when the visit is stopped.
func (v *visit) during(parent context.Context) {
	ctx, cancel := context.WithCancelCause(parent)
	v.mu.Lock()
	former, cause := v.cancel, v.cause
	v.ctx, v.cancel = ctx, cancel
	v.mu.Unlock()
	if former != nil {
		former(nil)
	}
	if cause != nil {
		cancel(cause)
	}
}

// stop ends the visit by force.
func (v *visit) stop(why *postern.Error) {
	v.mu.Lock()
	if v.cause == nil {
		v.cause = why
	}
	cancel := v.cancel
	v.mu.Unlock()
	cancel(why)
}

// visit serves a consumer who has connected to the gateway's own address.
func (e *endpoint) visit(conn relay.Conn) {
	from := addrPort(conn.RemoteAddr())
	allowed := func() bool { return e.gateway.definition.Load().admits(from.Addr()) }
	v, why := e.begin(e.gateway.ctx, Consumer{Addr: from}, allowed)
	if why != nil {
		relay.Abort(conn, why)
		return
	}
	if why := v.join(&punctual{Conn: conn}, func() error { return nil }); why != nil {
		relay.Abort(conn, why)
		return
	}
	r := e.gateway.runtime
	r.all.Add(1) // for as long as there is something to end, with or without a goroutine
	relay.Run(v.ctx, v.conn, v.relayable(), relay.Options{Go: r.crew.Go}, func(result relay.Result) {
		defer r.all.Done()
		defer r.survive()
		v.relayed(result)
	})
}

// begin gives a consumer a place; one that gets none is written down. allowed tells
// whether he may have the port, now and later.
func (e *endpoint) begin(ctx context.Context, c Consumer, allowed func() bool) (*visit, *postern.Error) {
	v := &visit{endpoint: e, consumer: c, allowed: allowed, began: time.Now()}
	g, r := e.gateway, e.gateway.runtime
	why := v.enter()
	if why != nil {
		r.record(v, why)
		return nil, why
	}
	v.during(ctx)
	g.addresses.add(v)
	g.count.open.Add(1)
	if !allowed() { // it ceased to be between the question and now
		v.stop(denied(e))
	}
	return v, nil
}

func (v *visit) enter() *postern.Error {
	g, r := v.endpoint.gateway, v.endpoint.gateway.runtime
	if !v.allowed() {
		return denied(v.endpoint)
	}
	if r.config.Busy != nil && r.config.Busy() {
		return postern.Errorf(postern.CodeServerBusy, "the server has no memory for further connections")
	}
	if why := g.addresses.enter(v.consumer.Addr.Addr(), r.live.Load().Limits); why != nil {
		return why
	}
	if _, refusal := v.quota.Enter(g.meter, quota.Connection); refusal != nil {
		g.addresses.leave(v.consumer.Addr.Addr())
		return refusal
	}
	return nil
}

func denied(e *endpoint) *postern.Error {
	return postern.Errorf(postern.CodeAccessDenied, "this consumer may not reach port %s of gateway %s", e.key, e.gateway.definition.Load().Name)
}

// end gives the place back and writes down what became of the connection.
func (v *visit) end(why *postern.Error) {
	g := v.endpoint.gateway
	g.addresses.remove(v)
	g.addresses.leave(v.consumer.Addr.Addr())
	g.count.open.Add(-1)
	v.quota.Leave()
	v.cancel(nil)
	g.runtime.record(v, why)
}

// join opens a stream to a connector for conn, and calls accepted. After an error the visit
// is over, and conn is the caller's.
func (v *visit) join(conn relay.Conn, accepted func() error) *postern.Error {
	m, stream, why := v.connect(nil)
	if why != nil {
		v.end(why)
		return why
	}
	v.conn, v.stream.Stream, v.stream.visit = conn, stream, v
	if err := accepted(); err != nil {
		why := postern.AsError(err)
		relay.Abort(stream, why)
		v.leave(m)
		v.end(why)
		return why
	}
	v.during(m.ctx)
	return nil
}

// relayable is the stream with what the connector's own can besides.
func (v *visit) relayable() relay.Conn {
	switch own := v.stream.Stream.(type) {
	case link.Awaiter:
		return &awaitedStream{&v.stream, own}
	case link.Pump:
		return pumped{&v.stream, own}
	}
	return &v.stream
}

// relayed takes leave of a visit that has been relayed.
func (v *visit) relayed(result relay.Result) {
	if why := result.Err; why != nil && why.Code == postern.CodeInternal {
		v.endpoint.gateway.runtime.log.Error("a private gateway failed to relay a connection", "error", why, "cause", why.Cause)
	}
	v.member.judge(result.Err, &v.stream)
	v.leave(v.member)
	v.in, v.out = v.stream.in.Load(), v.stream.out.Load()
	v.end(result.Err)
}

// leave gives the member's stream back.
func (v *visit) leave(m *member) {
	m.streams.Add(-1)
	m.settle()
}

// connect opens a stream to the best connector, or to the next where that fails: nothing
// was sent then, first included. Where there is none it waits for one, for as long as the port is held.
func (v *visit) connect(first []byte) (*member, link.Stream, *postern.Error) {
	e := v.endpoint
	ctx := within(v.ctx, e.patience())
	defer ctx.end()
	header := link.Header{ClientAddr: v.consumer.Addr}
	var tried []*member
	var failed *postern.Error
	for {
		m, why := e.take(ctx, tried, failed == nil || away(failed))
		if why != nil {
			if failed != nil {
				why = failed // says more
			}
			return nil, nil, why
		}
		opening := within(v.ctx, openTime)
		s, err := m.open(opening, header, first)
		opening.end()
		if err == nil {
			v.member = m
			m.served.Add(1)
			return m, s, nil
		}
		v.leave(m)
		failed = postern.AsError(err)
		m.failed(failed)
		if v.ctx.Err() != nil {
			return nil, nil, failed
		}
		tried = append(tried, m)
	}
}

// away tells whether an open failed because of the session: the connector may come back.
func away(err *postern.Error) bool {
	return err.Code == postern.CodeLinkLost || err.Code == postern.CodeLinkDraining
}

// failed notes that a stream could not be opened.
func (m *member) failed(why *postern.Error) {
	switch why.Code {
	case postern.CodeUpstreamUnreachable, postern.CodeStreamRefused, postern.CodeTargetRefused:
		m.learn(HealthDown, why)
	default:
		m.connector.suspect()
	}
}

// judge learns of a connection that is over whether the target was reached.
func (m *member) judge(why *postern.Error, s *counted) {
	if s.out.Load() > 0 || why == nil {
		return
	}
	switch why.Code {
	case postern.CodeUpstreamUnreachable, postern.CodeStreamRefused, postern.CodeTargetRefused:
		m.learn(HealthDown, why)
	}
}

// punctual is a consumer's connection that must take what is sent to it.
type punctual struct {
	relay.Conn
	until time.Time // the write deadline that is set
}

// Write implements net.Conn. A deadline that is late enough is left alone.
func (p *punctual) Write(b []byte) (int, error) {
	if now := time.Now(); p.until.Sub(now) < takeTime {
		p.until = now.Add(takeTime + takeTime/4)
		_ = p.SetWriteDeadline(p.until)
	}
	return p.Conn.Write(b)
}

// Socket is the socket that Read reads; nil where it is none.
func (p *punctual) Socket() syscall.Conn {
	socket, _ := p.Conn.(syscall.Conn)
	return socket
}

// NetConn gives the connection below.
func (p *punctual) NetConn() net.Conn { return p.Conn }

// addrPort converts what package net gives; the zero value for what has no port.
func addrPort(addr net.Addr) netip.AddrPort {
	switch addr := addr.(type) {
	case nil:
		return netip.AddrPort{}
	case *net.TCPAddr:
		ap := addr.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
