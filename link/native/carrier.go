package native

import (
	"log/slog"
	"net"
	"time"

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

	// serverBacklog is how many streams of an agent may come in one instant: a consumer's
	// programs connect all at once. Strangers are kept to their limit of streams.
	serverBacklog = mostAccepted

	// usualBacklog is mux's own, where the peer opens few streams besides legs.
	usualBacklog = 0

	// Liveness, one rule on all our own links: ping every 10 s, dead after 20 s
	// without an answer.
	heartbeat = 10 * time.Second
	tolerance = 20 * time.Second

	// legBacklog is how many legs of streams may wait on a carrier to be looked at.
	// Streams that move arrive together, and a refused one would be lost.
	legBacklog = 1024
)

// newCarrier takes conn over, one connection of a session: carrier 0, which every
// request and every stream starts on, or a further one. client is the side that
// dialled; budget is the session's; backlog bounds the streams that wait for Accept.
func newCarrier(conn net.Conn, client bool, limits mux.Limits, budget *mux.Budget, backlog int, logger *slog.Logger) *mux.Session {
	return mux.New(conn, mux.Config{
		Client:        client,
		Window:        firstWindow,
		MaxWindow:     maxWindow,
		RichResets:    true,
		Limits:        limits,
		Budget:        budget,
		AcceptBacklog: backlog,
		Heartbeat:     heartbeat,
		Tolerance:     tolerance,
		Logger:        logger,
	})
}

// further is a carrier beside number 0. All but the constants is guarded by the
// mu of its carriers.
type further struct {
	*mux.Session
	number uint32 // in the order of dialling, never used again

	bulk     int       // directions of ours that are on it
	uses     int       // directions that ever came on it, of either end
	seen     int       // uses at the last look
	idle     time.Time // since when nothing has used it
	retiring bool      // nothing goes on it any more
	joining  bool      // the server has not taken it in yet
}

// usable tells whether streams may move to f. carriers.mu is held.
func (f *further) usable() bool {
	if f.retiring || f.joining {
		return false
	}
	select {
	case <-f.Draining():
		return false
	case <-f.Done():
		return false
	default:
		return true
	}
}
