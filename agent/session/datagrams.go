package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/relay/flow"
)

// flowIdle ends a flow that the server has forgotten to end: its own limit is shorter.
const flowIdle = 5 * time.Minute

// Datagrams is the handler that brings flows of udp endpoints to a service. Each has a
// socket of its own, so that the service can tell visitors apart by their ports.
type Datagrams struct {
	Upstream Upstream
	Dialer   dial.Dialer
	Logger   *slog.Logger // nil: silent
}

// ServeStream opens a socket towards the service and relays until the flow ends. A
// service that is not there is none of its reasons: nobody can tell whether it was, and
// it is sent what comes when it is back.
func (d *Datagrams) ServeStream(ctx context.Context, h link.Header, stream link.Stream) {
	logger := d.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	where := []any{slog.String("privaddr", d.Upstream.String()), slog.String("r", h.ClientAddr.String())}
	dialling, cancel := context.WithTimeout(ctx, upstreamPatience)
	socket, err := d.Dialer.Dial(dialling, d.Upstream.Network, d.Upstream.Address)
	cancel()
	if err != nil {
		relay.Abort(stream, &postern.Error{Code: postern.CodeUpstreamUnreachable})
		logger.WarnContext(ctx, "failed to open private leg", append(where, slog.String("err", err.Error()))...)
		return
	}
	result := flow.Relay(ctx, stream, socket, flow.Options{Idle: flowIdle})
	logger.DebugContext(ctx, "flow ended", append(where, slog.String("why", string(result.Why)), slog.Int64("datagrams_in", result.DatagramsOut),
		slog.Int64("datagrams_out", result.DatagramsIn), slog.Int64("dropped", result.Dropped))...)
}

// Interface guard.
var _ Handler = (*Datagrams)(nil)
