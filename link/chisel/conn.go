package chisel

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
)

const (
	// closeTimeout is how long what was written before Close may take to leave, and how
	// long a peer that was told goodbye may take to hang up.
	closeTimeout = 2 * time.Second
	// unsentMost is how much of ours the kernel keeps unsent. What is more would only
	// stand in the way of the answer to a ping, for which some clients wait two seconds.
	unsentMost = 256 << 10
)

// Conn is a WebSocket as a stream of bytes: binary messages whose boundaries mean
// nothing. One Read may run at a time beside any other method. It holds no large
// buffer while nothing moves.
//
// Write returns before what it took has left; a failure is reported by a later call.
// Deadlines are those of the connection below.
type Conn struct {
	below  net.Conn
	remote net.Addr
	own    bool // the other end is Postern too
	in     input
	out    output

	mu     sync.Mutex
	pings  map[uint64]chan struct{} // by number, closed by the pong
	pinged uint64                   // the last number
	ended  error                    // what Read ended with
	told   bool                     // a close frame was sent
	closed bool
}

var _ net.Conn = (*Conn)(nil)

// newConn takes below over. ahead was read from it before. remote is whom trusted
// proxies name, or invalid.
func newConn(below net.Conn, ahead []byte, server bool, remote netip.Addr) *Conn {
	c := &Conn{below: below, remote: below.RemoteAddr()}
	if remote.IsValid() {
		c.remote = &net.TCPAddr{IP: remote.AsSlice(), Zone: remote.Zone()}
	}
	c.in.from, c.in.ahead, c.in.server, c.in.control = below, ahead, server, c.control
	c.in.budget.Store(-1)
	c.out.init(below, server)
	if tcp := tcpBelow(below); tcp != nil {
		limitUnsent(tcp, unsentMost)
		c.in.window = holdWindow(tcp)
	}
	return c
}

// tcpBelow finds the TCP connection under others; nil where there is none.
func tcpBelow(conn net.Conn) *net.TCPConn {
	for {
		switch at := conn.(type) {
		case *net.TCPConn:
			return at
		case *tls.Conn:
			conn = at.NetConn()
		case interface{ NetConn() net.Conn }:
			conn = at.NetConn()
		default:
			return nil
		}
	}
}

// strangers limits what the peer may send until it is known: bytes in all, and 64 KiB
// a message. A negative number lifts both limits.
func (c *Conn) strangers(bytes int64) {
	c.in.budget.Store(bytes)
	c.in.most.Store(0)
	if bytes >= 0 {
		c.in.most.Store(slabSize)
	}
}

// Read gives bytes of the peer's messages. The end is io.EOF where the connection below
// ended between two messages, or a *frames.CloseError where the peer sent a close frame.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.in.read(p)
	if err == nil {
		return n, nil
	}
	var bad *frames.ProtocolError
	if errors.As(err, &bad) {
		c.CloseWith(bad.Status, bad.Text)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed && (errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF)) {
		err = net.ErrClosed
	}
	if c.ended == nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.ended = err
		c.in.rest()
	}
	if n > 0 {
		return n, nil // the error comes again
	}
	return 0, err
}

// control handles a control frame, on the reader's goroutine.
func (c *Conn) control(opcode byte, payload []byte) error {
	switch opcode {
	case frames.Ping:
		c.out.say(frames.Pong, payload)
	case frames.Pong:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.answered(payload)
	case frames.Close:
		why := frames.ParseClose(payload)
		status := why.Status
		if status == frames.StatusNone {
			status = frames.StatusNormal
		}
		c.out.say(frames.Close, frames.ClosePayload(status, ""))
		return why
	}
	return nil
}

// answered notes the answer to a ping, and so to all before: of several that have not left
// yet the last one is sent alone, and a peer need not answer but the last that it has
// seen (RFC 6455 §5.5.3). mu is held.
func (c *Conn) answered(payload []byte) {
	if len(payload) != 8 {
		return // not one of ours
	}
	last := binary.BigEndian.Uint64(payload)
	for number, waiting := range c.pings {
		if number <= last {
			close(waiting)
			delete(c.pings, number)
		}
	}
}

// Ended tells why the peer can be read no more; nil while it can.
func (c *Conn) Ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ended
}

// Write sends p, in messages of at most 64 KiB, together with what others write at the
// same time. It blocks while 128 KiB wait to leave.
func (c *Conn) Write(p []byte) (int, error) { return c.out.write(p) }

// Ping asks the peer's WebSocket for an answer and measures how long it takes. Somebody
// must be reading meanwhile. It fails with ctx, or with CodeLinkLost once Close was
// called.
func (c *Conn) Ping(ctx context.Context) (time.Duration, error) {
	answered := make(chan struct{})
	c.mu.Lock()
	if c.closed || c.ended != nil {
		c.mu.Unlock()
		return 0, postern.Errorf(postern.CodeLinkLost, "the connection has ended")
	}
	began := time.Now()
	number := c.ask()
	if c.pings == nil {
		c.pings = map[uint64]chan struct{}{}
	}
	c.pings[number] = answered
	c.mu.Unlock()
	select {
	case <-answered:
		return time.Since(began), nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pings, number)
	return 0, postern.Errorf(postern.CodeLinkLost, "no answer to a ping").Because(ctx.Err())
}

// beat asks for an answer that nobody waits for: that anything comes is what counts.
func (c *Conn) beat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ask()
}

// ask sends a ping with the next number. Every ping has one, those of a beat too: its
// answer may be the only one that the peer gives to it and to all before. mu is held, so
// that of pings that have not left yet the one that stays is the last.
func (c *Conn) ask() uint64 {
	c.pinged++
	c.out.say(frames.Ping, binary.BigEndian.AppendUint64(nil, c.pinged))
	return c.pinged
}

// heard counts reads that gave something.
func (c *Conn) heard() uint64 { return c.in.reads.Load() }

// CloseWith tells the peer why, behind all that was written, and hangs up when the peer
// has, or soon. Real clients print the text, of which 123 bytes have room.
func (c *Conn) CloseWith(status int, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told || c.closed {
		return
	}
	c.told = true
	c.out.say(frames.Close, frames.ClosePayload(status, text))
	time.AfterFunc(closeTimeout, func() { _ = c.Close() })
}

// Close hangs up. What was written leaves before, if it does so within two seconds;
// Close does not wait for it.
func (c *Conn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	_ = c.below.SetReadDeadline(time.Unix(1, 0)) // frees a Read
	c.out.finish(time.Now().Add(closeTimeout), func() { _ = c.below.Close() })
	return nil
}

// cut hangs up at once, for peers that are gone.
func (c *Conn) cut() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	_ = c.below.Close()
	c.out.finish(time.Now(), func() {})
}

// LocalAddr is the near address of the connection below.
func (c *Conn) LocalAddr() net.Addr { return c.below.LocalAddr() }

// RemoteAddr is the peer, or whom a trusted proxy named.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// NetConn gives the connection below.
func (c *Conn) NetConn() net.Conn { return c.below }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn. A deadline that passes within a frame does no
// harm: Read goes on where it was.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.below.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn. One that passes ends the Conn, since part of a
// frame may have been sent.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.below.SetWriteDeadline(t) }
