package sshr

import (
	"net"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
)

// guard is a client's connection. It counts what strangers send, and notes when the
// client was heard of last.
type guard struct {
	net.Conn
	stranger atomic.Int64 // bytes so far, negative for somebody who was let in
	began    time.Time
	heard    atomic.Int64 // how long after that
}

func newGuard(conn net.Conn) *guard { return &guard{Conn: conn, began: time.Now()} }

// Read implements net.Conn.
func (g *guard) Read(p []byte) (int, error) {
	if g.stranger.Load() > strangerBytes {
		return 0, postern.Errorf(postern.CodeProtocolViolation, "the client sent more than %d bytes before it logged in", strangerBytes)
	}
	n, err := g.Conn.Read(p)
	if n > 0 {
		g.heardNow()
		if g.stranger.Load() >= 0 {
			g.stranger.Add(int64(n))
		}
	}
	return n, err
}

// letIn ends the counting.
func (g *guard) letIn() { g.stranger.Store(-1 << 62) }

func (g *guard) heardNow() { g.heard.Store(int64(time.Since(g.began))) }

// silence is for how long nothing has come.
func (g *guard) silence() time.Duration {
	return time.Since(g.began) - time.Duration(g.heard.Load())
}
