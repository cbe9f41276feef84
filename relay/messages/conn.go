// Package messages makes a stream of bytes of a WebSocket (RFC 6455), at the server's end:
// what is in the peer's messages, text or binary, is read as it comes, and what is written
// leaves in binary messages. Messages begin and end where they like, and mean nothing.
//
// A close frame ends the peer's direction, and CloseWrite ends ours with one. Between the
// two the other direction goes on, for EndTime.
package messages

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
	"github.com/postern-dev/postern/relay"
)

const (
	// EndTime is how long one direction may go on once the other has ended: most peers
	// listen no more, and cannot say so.
	EndTime = 10 * time.Second
	// mostFrame bounds one frame of the peer's. None is held, whatever its length.
	mostFrame = 1 << 30
	// mostPiece is the payload of one frame of ours: with its head it fills a record of TLS.
	mostPiece = 16<<10 - 4
	// goodbyeTime bounds what is said to a peer whose connection is about to be cut.
	goodbyeTime = time.Second
)

// Conn is the stream. One Read and one Write may run at a time beside each other, and the
// other methods at any time. Deadlines are those of the connection below; what they cut
// short can be taken up again by Read, not by Write.
type Conn struct {
	relay.Conn

	// Of the one that reads.
	buffer [512]byte
	unread []byte
	left   uint64 // of the data frame that is being read
	key    uint32
	within bool  // a message whose last frame has not begun
	over   error // that Read gives from now on

	answering sync.Mutex
	pong      []byte // what is owed; nil for nothing

	writing sync.Mutex
	out     []byte
	said    bool // a close frame was sent: nothing may follow

	status atomic.Int32 // that the peer closed with; 0: it has not
	ended  atomic.Bool  // our direction, by CloseWrite
	later  atomic.Pointer[time.Timer]
}

// New makes a stream of conn, over which an upgrade has been answered, and takes it over.
func New(conn relay.Conn) *Conn { return &Conn{Conn: conn} }

// Read gives bytes of the peer's messages. A close frame is io.EOF, and one that tells of
// trouble an error; so is a connection that ends without one.
func (c *Conn) Read(p []byte) (int, error) {
	for c.over == nil && c.left == 0 {
		if err := c.next(); err != nil {
			c.stop(err)
		}
	}
	if c.over != nil {
		err := c.over
		if isTimeout(err) {
			c.over = nil
		}
		return 0, err
	}
	p = p[:min(uint64(len(p)), c.left)]
	n := copy(p, c.unread)
	c.unread = c.unread[n:]
	var err error
	if n == 0 && len(p) > 0 {
		if n, err = c.Conn.Read(p); n > 0 {
			err = nil // it comes again
		}
	}
	c.key = frames.Unmask(p, p[:n], c.key)
	c.left -= uint64(n)
	return n, inside(err)
}

// inside makes an end within a message one that is not clean.
func inside(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// stop notes why nothing more is read, and tells a peer who has made a mistake.
func (c *Conn) stop(err error) {
	c.over = err
	if wrong, ok := errors.AsType[*frames.ProtocolError](err); ok {
		_ = c.say(wrong.Status, wrong.Text) // who is wrong may well be gone
	}
	if c.ended.Load() && !isTimeout(err) {
		c.over = io.EOF // it hung up where it should have answered: all was said
	}
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

// next reads one head, and what is behind it where that is no data.
func (c *Conn) next() error {
	for {
		h, size, err := frames.ParseHeader(c.unread)
		if err != nil {
			return err
		}
		whole := size
		if size > 0 && h.Opcode >= frames.Close {
			whole += int(h.Length)
		}
		if size == 0 || len(c.unread) < whole {
			if err := c.fill(); err != nil {
				return err
			}
			continue
		}
		payload := c.unread[size:whole]
		c.unread = c.unread[whole:]
		return c.frame(h, payload)
	}
}

// fill reads once. What is unread is less than a head and a control frame's payload.
func (c *Conn) fill() error {
	kept := copy(c.buffer[:], c.unread)
	n, err := c.Conn.Read(c.buffer[kept:])
	c.unread = c.buffer[:kept+n]
	if n > 0 {
		return nil
	}
	return inside(err)
}

func (c *Conn) frame(h frames.Header, payload []byte) error {
	if !h.Masked {
		return frames.Bad("a frame of a client without a mask")
	}
	switch h.Opcode {
	case frames.Continue, frames.Text, frames.Binary:
		if c.within != (h.Opcode == frames.Continue) {
			return frames.Bad("a message begins within another, or goes on without one")
		}
		if h.Length > mostFrame {
			return &frames.ProtocolError{Status: frames.StatusTooBig, Text: "a frame of more than 1 GiB"}
		}
		c.within, c.left, c.key = !h.Final, h.Length, h.Key
		return nil
	}
	frames.Unmask(payload, payload, h.Key)
	switch h.Opcode {
	case frames.Ping:
		c.answering.Lock()
		c.pong = append(make([]byte, 0, len(payload)), payload...)
		c.answering.Unlock()
		c.answer()
	case frames.Close:
		return c.hears(payload)
	}
	return nil
}

// hears ends the peer's direction.
func (c *Conn) hears(payload []byte) error {
	why := frames.ParseClose(payload)
	if len(payload) == 1 {
		return frames.Bad("a close frame of one byte")
	}
	c.status.Store(int32(why.Status))
	switch why.Status {
	case frames.StatusNormal, frames.StatusGoingAway, frames.StatusNone:
		c.endLater()
		return io.EOF
	}
	return why
}

// answer sends the pong that is owed: the last one, where several are (RFC 6455 §5.5.3).
// Whoever writes meanwhile does it afterwards.
func (c *Conn) answer() {
	for c.owes() && c.writing.TryLock() {
		c.answering.Lock()
		payload := c.pong
		c.pong = nil
		c.answering.Unlock()
		if payload != nil && !c.said {
			_ = c.send(frames.Pong, payload) // the next write will tell
		}
		c.writing.Unlock()
	}
}

func (c *Conn) owes() bool {
	c.answering.Lock()
	defer c.answering.Unlock()
	return c.pong != nil
}

// send writes one frame. writing is held.
func (c *Conn) send(opcode byte, payload []byte) error {
	c.out = append(frames.AppendHeader(c.out[:0], opcode, len(payload)), payload...)
	_, err := c.Conn.Write(c.out)
	if len(payload) < len(c.buffer) && cap(c.out) > 4*len(c.buffer) {
		c.out = nil // little is said now: others can use the memory
	}
	return err
}

// Write sends b in binary messages.
func (c *Conn) Write(b []byte) (sent int, err error) {
	defer c.answer()
	c.writing.Lock()
	defer c.writing.Unlock()
	for sent < len(b) && err == nil {
		if c.said {
			return sent, net.ErrClosed
		}
		piece := b[sent:min(sent+mostPiece, len(b))]
		if err = c.send(frames.Binary, piece); err == nil {
			sent += len(piece)
		}
	}
	return sent, err
}

// say sends a close frame, once.
func (c *Conn) say(status int, text string) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.saying(status, text)
}

func (c *Conn) saying(status int, text string) error {
	if c.said {
		return nil
	}
	c.said = true
	return c.send(frames.Close, frames.ClosePayload(status, text))
}

// CloseWrite ends our direction by a close frame: the peer's own status, where it has sent
// one.
func (c *Conn) CloseWrite() error {
	status := frames.StatusNormal
	if heard := int(c.status.Load()); heard != 0 && heard != frames.StatusNone {
		status = heard
	}
	c.ended.Store(true)
	err := c.say(status, "")
	c.endLater()
	return err
}

// endLater bounds how long the other direction goes on.
func (c *Conn) endLater() {
	if c.later.Load() != nil {
		return
	}
	timer := time.AfterFunc(EndTime, func() {
		if c.writing.TryLock() {
			_ = c.Conn.SetWriteDeadline(time.Now().Add(goodbyeTime))
			_ = c.saying(frames.StatusNormal, "")
			c.writing.Unlock()
		}
		_ = c.Conn.Close()
	})
	if !c.later.CompareAndSwap(nil, timer) {
		timer.Stop()
	}
}

// Close ends the connection at once, without a word.
func (c *Conn) Close() error {
	if timer := c.later.Load(); timer != nil {
		timer.Stop()
	}
	return c.Conn.Close()
}

// Reset ends the connection in a way that the peer cannot take for a clean end: by a close
// frame whose status says so, or else as relay.Abort does. It blocks for a second at most.
func (c *Conn) Reset(why *postern.Error) {
	if c.writing.TryLock() {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(goodbyeTime))
		told := c.said && !c.ended.Load() || c.saying(statusOf(why.Code), string(why.Code)) == nil && !c.ended.Load()
		c.writing.Unlock()
		if told {
			_ = c.Close()
			return
		}
	}
	if timer := c.later.Load(); timer != nil {
		timer.Stop()
	}
	relay.Abort(c.Conn, why)
}

// statusOf says to a peer what a failure is.
func statusOf(code postern.Code) int {
	switch code {
	case postern.CodeUpstreamUnreachable:
		return frames.StatusBadGateway
	case postern.CodeLinkDraining:
		return frames.StatusGoingAway
	}
	return frames.StatusInternal
}

var _ relay.Conn = (*Conn)(nil)
