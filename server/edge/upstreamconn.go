package edge

import (
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/quota"
)

// upstreamConn is a stream that carries HTTP. Closed in the middle of a message it
// resets the stream: a clean end could be taken for the end of the message.
//
// On a connection that serves one request after the other it also keeps what a
// service says beyond an answer from being taken for the next one: settle.
type upstreamConn struct {
	metered
	serial bool
	busy   atomic.Int32 // messages under way
	owner  *visitor     // whose connection it is private to; nil for none
	closed atomic.Bool
	since  time.Time // idle since, while it is a pair that waits

	mu      sync.Mutex
	changed sync.Cond
	reading bool // a Read is under way
	quiet   bool // a request is about to be written: nothing is to be said before it
}

func newUpstreamConn(s link.Stream, meter *quota.Meter, serial bool) *upstreamConn {
	c := &upstreamConn{metered: metered{Stream: s, meter: meter}, serial: serial}
	c.changed.L = &c.mu
	return c
}

// settle is called when a kept connection was given to a request of which nothing is
// written yet. The transport parses what it has read ahead as the answer to whatever
// request comes next, and only looks for such a rest after it has offered the
// connection to others. Its next Read means that it found none; else it closes the
// connection, and the request goes to another.
func (c *upstreamConn) settle() {
	if !c.serial {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for !c.reading && !c.closed.Load() {
		c.changed.Wait()
	}
	c.quiet = true
}

// Read implements net.Conn. What comes before the request it should answer is refused.
func (c *upstreamConn) Read(b []byte) (int, error) {
	if !c.serial {
		return c.metered.Read(b)
	}
	c.mu.Lock()
	c.reading = true
	c.changed.Signal()
	c.mu.Unlock()
	n, err := c.metered.Read(b)
	c.mu.Lock()
	c.reading = false
	unasked := n > 0 && c.quiet
	c.mu.Unlock()
	if unasked {
		return 0, postern.Errorf(postern.CodeUpstreamInvalidResponse, "the service spoke before it was asked")
	}
	return n, err
}

// Write implements net.Conn.
func (c *upstreamConn) Write(b []byte) (int, error) {
	if c.serial {
		c.mu.Lock()
		c.quiet = false
		c.mu.Unlock()
	}
	return c.metered.Write(b)
}

// Close implements net.Conn.
func (c *upstreamConn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.mu.Lock()
	c.changed.Signal()
	c.mu.Unlock()
	if c.owner != nil {
		c.owner.disown(c)
	}
	if c.busy.Load() > 0 {
		c.Reset(&postern.Error{Code: postern.CodeStreamReset})
	}
	return c.metered.Close()
}

var _ link.Stream = (*upstreamConn)(nil)
