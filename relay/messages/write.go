package messages

import (
	"net"

	"github.com/postern-dev/postern/internal/frames"
)

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
