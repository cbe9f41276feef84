package testkit

import (
	"errors"
	"net"
	"time"
)

// CloseWrite half-closes inner where it can.
func (c *FaultConn) CloseWrite() error {
	if half, ok := c.inner.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close closes inner and wakes whoever waits in a fault. Bytes that a stall
// swallowed are lost, as they would be with the machine.
func (c *FaultConn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.readBy.stop()
	c.writeBy.stop()
	c.changed.Broadcast()
	c.mu.Unlock()
	return c.inner.Close()
}

// SetLinger passes on to inner where it can.
func (c *FaultConn) SetLinger(seconds int) error {
	if l, ok := c.inner.(interface{ SetLinger(int) error }); ok {
		return l.SetLinger(seconds)
	}
	return errors.ErrUnsupported
}

// LocalAddr is inner's.
func (c *FaultConn) LocalAddr() net.Addr { return c.inner.LocalAddr() }

// RemoteAddr is inner's.
func (c *FaultConn) RemoteAddr() net.Addr { return c.inner.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *FaultConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline holds during stalls and rate limits too.
func (c *FaultConn) SetReadDeadline(t time.Time) error {
	c.setDeadline(&c.readBy, t)
	return c.inner.SetReadDeadline(t)
}

// SetWriteDeadline holds during stalls and rate limits too.
func (c *FaultConn) SetWriteDeadline(t time.Time) error {
	c.setDeadline(&c.writeBy, t)
	return c.inner.SetWriteDeadline(t)
}

func (c *FaultConn) setDeadline(d *deadline, t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		d.set(t, c.wake)
	}
	c.changed.Broadcast()
}

// Interface guards.
var (
	_ net.Conn                        = (*FaultConn)(nil)
	_ interface{ CloseWrite() error } = (*FaultConn)(nil)
)
