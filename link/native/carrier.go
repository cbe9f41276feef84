package native

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
)

const (
	// firstWindow is what both sides assume of each stream; the ALPN name says so.
	firstWindow = 1 << 20

	// maxWindow is how far a receiver lets a stream's window grow: 16 MiB keep
	// 1 Gbit/s busy over 125 ms.
	maxWindow = 16 << 20

	// agentBacklog is how many visitors may come in one instant, before the agent has
	// looked at the first of them. Nothing paces the server's opens on this wire, so it
	// is large; the agent trusts the server that it dialled.
	agentBacklog = 16 << 10

	// Liveness, one rule on all our own links: ping every 10 s, dead after 20 s
	// without an answer.
	heartbeat = 10 * time.Second
	tolerance = 20 * time.Second
)

// carrier is one connection of a session, able to carry streams. Today a session
// has exactly one and its streams stay there. Further ones (for bulk, over
// WebSocket or QUIC) will be added to carriers behind this interface, and neither
// Serve nor Client will notice.
type carrier interface {
	Open(ctx context.Context, streamType uint32, first ...[]byte) (link.Stream, error)
	Accept(ctx context.Context) (uint32, link.Stream, error)
	Ping(ctx context.Context) (time.Duration, error)
	SetLimits(mux.Limits)
	Drain()
	Draining() <-chan struct{}
	Close(why *postern.Error)
	Done() <-chan struct{}
	Closed() <-chan struct{} // a moment after Done: the connection is closed
	Cause() *postern.Error
	Streams() int
}

// tlsCarrier is a carrier over one TCP connection with TLS.
type tlsCarrier struct{ *mux.Session }

var _ carrier = tlsCarrier{}

// newTLSCarrier takes conn over. client is the side that dialled.
func newTLSCarrier(conn net.Conn, client bool, limits mux.Limits, logger *slog.Logger) tlsCarrier {
	backlog := 0 // the default: an agent opens few streams
	if client {
		backlog = agentBacklog
	}
	return tlsCarrier{mux.New(conn, mux.Config{
		Client:        client,
		Window:        firstWindow,
		MaxWindow:     maxWindow,
		RichResets:    true,
		Limits:        limits,
		AcceptBacklog: backlog,
		Heartbeat:     heartbeat,
		Tolerance:     tolerance,
		Logger:        logger,
	})}
}

// Open wraps the result, so that a failed open is a nil interface.
func (c tlsCarrier) Open(ctx context.Context, streamType uint32, first ...[]byte) (link.Stream, error) {
	stream, err := c.Session.Open(ctx, streamType, first...)
	if err != nil {
		return nil, err
	}
	return stream, nil
}

// Accept wraps the result like Open.
func (c tlsCarrier) Accept(ctx context.Context) (uint32, link.Stream, error) {
	streamType, stream, err := c.Session.Accept(ctx)
	if err != nil {
		return 0, nil, err
	}
	return streamType, stream, nil
}

// carriers is all the connections of one session. Carrier 0 carries every request
// and every stream.
type carriers struct{ zero carrier }

// forOpen picks the carrier for a new stream.
func (c carriers) forOpen() carrier { return c.zero }

// Open starts a stream on one of the carriers.
func (c carriers) Open(ctx context.Context, streamType uint32, first ...[]byte) (link.Stream, error) {
	return c.forOpen().Open(ctx, streamType, first...)
}

// Accept takes the next stream of any carrier.
func (c carriers) Accept(ctx context.Context) (uint32, link.Stream, error) { return c.zero.Accept(ctx) }

// Ping measures carrier 0, which is the session's life.
func (c carriers) Ping(ctx context.Context) (time.Duration, error) { return c.zero.Ping(ctx) }

// SetLimits replaces the limits on every carrier.
func (c carriers) SetLimits(l mux.Limits) { c.zero.SetLimits(l) }

// Drain makes every carrier refuse new streams of ours and tells the peer.
func (c carriers) Drain() { c.zero.Drain() }

// Draining is closed when the peer drains.
func (c carriers) Draining() <-chan struct{} { return c.zero.Draining() }

// Close closes every carrier.
func (c carriers) Close(why *postern.Error) { c.zero.Close(why) }

// Done is closed when carrier 0 has ended, and with it the session.
func (c carriers) Done() <-chan struct{} { return c.zero.Done() }

// Closed is closed when the connections are closed.
func (c carriers) Closed() <-chan struct{} { return c.zero.Closed() }

// Cause says why carrier 0 ended.
func (c carriers) Cause() *postern.Error { return c.zero.Cause() }

// Streams counts the streams of all carriers.
func (c carriers) Streams() int { return c.zero.Streams() }
