package connector

import (
	"context"
	"log/slog"

	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay/flow"
)

// serveDatagrams brings one flow to the target, over a socket of its own: the target
// tells consumers apart by its address.
func (p *port) serveDatagrams(ctx context.Context, h link.Header, stream link.Stream) {
	socket, err := p.dialer.Dial(ctx, udp, p.Target())
	if err != nil {
		p.unreachable(ctx, h, stream, err)
		return
	}
	p.log.DebugContext(ctx, "open", consumer(h), slog.Int64("open", p.open.Load()))
	result := flow.Relay(ctx, stream, socket, flow.Options{Idle: flow.DefaultIdle, Counters: &p.datagrams})
	attrs := []any{consumer(h), slog.Int64("received", result.BytesOut), slog.Int64("sent", result.BytesIn), slog.Int64("lost", result.Dropped)}
	if result.Err != nil {
		attrs = append(attrs, slog.String("err", result.Err.Error()))
	}
	p.log.DebugContext(ctx, "close", attrs...)
}
