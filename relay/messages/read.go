package messages

import (
	"errors"
	"io"
	"net"

	"github.com/postern-dev/postern/internal/frames"
)

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
