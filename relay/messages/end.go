package messages

import (
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
	"github.com/postern-dev/postern/relay"
)

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
