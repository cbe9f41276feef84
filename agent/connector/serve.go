package connector

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
)

// serve brings one stream to the target, and calls ended when that is over, perhaps long
// after it has returned: a connection at rest has no goroutine here. The target is dialled
// before a byte is taken from the consumer: a wire that can tells him of a failure as one.
func (p *port) serve(ctx context.Context, h link.Header, stream link.Stream, crew *run.Crew, ended func()) {
	p.total.Add(1)
	if p.unwell.Load() {
		defer ended()
		p.refuse(ctx, h, stream, postern.Errorf(postern.CodeUpstreamUnreachable, "the target is not well"))
		return
	}
	p.open.Add(1)
	over := func() {
		p.open.Add(-1)
		ended()
	}
	relayed := false
	defer func() {
		if !relayed {
			over()
		}
	}()
	if p.Network == udp {
		p.serveDatagrams(ctx, h, stream)
		return
	}
	target, err := p.dial(ctx, h)
	if err != nil {
		p.unreachable(ctx, h, stream, err)
		return
	}
	p.reached(ctx)
	p.tell(ctx, "open", h, func() []any { return []any{slog.Int64("open", p.open.Load())} })
	relayed = true
	relay.Run(ctx, stream, target, relay.Options{Counters: &p.moved, Go: crew.Go}, func(r relay.Result) {
		defer over()
		p.relayed(ctx, h, r)
	})
}

// relayed tells how a connection has ended.
func (p *port) relayed(ctx context.Context, h link.Header, r relay.Result) {
	if r.Err != nil && r.Err.Code == postern.CodeInternal {
		p.log.ErrorContext(ctx, "relaying a connection failed", consumer(h), slog.String("err", describe(r.Err)))
		return
	}
	p.tell(ctx, "close", h, func() []any {
		attrs := []any{slog.Int64("received", r.AToB), slog.Int64("sent", r.BToA)}
		if r.Err != nil {
			attrs = append(attrs, slog.String("err", describe(r.Err)))
		}
		return attrs
	})
}

// tell logs what happens to a consumer's connection, for those who look closely; for
// nobody else it costs anything.
func (p *port) tell(ctx context.Context, what string, h link.Header, attrs func() []any) {
	if p.log.Enabled(ctx, slog.LevelDebug) {
		p.log.DebugContext(ctx, what, append([]any{consumer(h)}, attrs()...)...)
	}
}

// dial connects to the target and tells it who the consumer is, where that is wanted.
func (p *port) dial(ctx context.Context, h link.Header) (relay.Conn, error) {
	conn, err := p.dialer.Dial(ctx, tcp, p.Target())
	if err != nil {
		return nil, err
	}
	if p.ProxyProtocol > 0 {
		// Without an address of the consumer the header says "unknown", as it should.
		to, _ := netip.ParseAddrPort(conn.RemoteAddr().String())
		header, err := relay.ProxyHeader(p.ProxyProtocol, h.ClientAddr, to)
		if err == nil {
			_, err = conn.Write(header)
		}
		if err != nil {
			_ = conn.Close() // the first error is the one that counts
			return nil, err
		}
	}
	half, ok := conn.(relay.Conn)
	if !ok { // TCP connections can be
		_ = conn.Close()
		return nil, errors.New("the connection cannot be half-closed")
	}
	return half, nil
}

// unreachable tells both sides that there is no target: what failed is the operator's to
// know, the consumer learns that it did.
func (p *port) unreachable(ctx context.Context, h link.Header, stream link.Stream, err error) {
	text := err.Error()
	p.latest.Store(&text)
	p.failed.Add(1)
	if postern.HasCode(err, postern.CodeTargetRefused) {
		p.refuse(ctx, h, stream, postern.AsError(err))
		return
	}
	level := slog.LevelWarn
	if p.down.Swap(true) { // it is told once, and counted after that: gateways probe what they offer
		level = slog.LevelDebug
	}
	p.log.Log(ctx, level, "the target cannot be reached", consumer(h), slog.String("target", p.Target()), slog.String("err", text))
	relay.Abort(stream, postern.Errorf(postern.CodeUpstreamUnreachable, "the connector cannot reach the target"))
}

// reached notes that the target was dialled.
func (p *port) reached(ctx context.Context) {
	if p.down.Load() && p.down.Swap(false) {
		p.log.InfoContext(ctx, "the target is reached again", slog.String("target", p.Target()))
	}
}

// refuse ends a stream that is not to be served.
func (p *port) refuse(ctx context.Context, h link.Header, stream link.Stream, why *postern.Error) {
	p.refused.Add(1)
	relay.Abort(stream, &postern.Error{Code: why.Code})
	p.log.WarnContext(ctx, "a connection was refused", consumer(h), slog.String("err", describe(why)))
}

// consumer is who is at the other end, where the gateway says.
func consumer(h link.Header) slog.Attr {
	if !h.ClientAddr.IsValid() {
		return slog.Attr{}
	}
	return slog.String("consumer", h.ClientAddr.String())
}
