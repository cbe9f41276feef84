package testkit

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

// pipeBuffer is how much one direction of a Pipe holds before a writer waits,
// about what a kernel gives a loopback socket at first.
const pipeBuffer = 64 << 10

// Pipe gives the two ends of an in-memory connection that behaves like TCP where
// tests care: writes return once buffered (64 KiB each way), deadlines interrupt
// pending calls, CloseWrite half-closes, closing with unread data or with
// SetLinger(0) resets. Unlike net.Pipe a writer need not wait for its reader.
// Both ends are safe for concurrent use and must be closed by the test.
func Pipe() (a, b net.Conn) {
	there, back := newFlow(), newFlow()
	first := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 40001} // TEST-NET-1, RFC 5737
	second := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 443}
	return &PipeConn{in: back, out: there, local: first, remote: second},
		&PipeConn{in: there, out: back, local: second, remote: first}
}

// PipeConn is one end of a Pipe.
type PipeConn struct {
	in, out       *flow
	local, remote net.Addr

	mu     sync.Mutex
	closed bool
	linger bool // SetLinger(0) was called: Close resets
}

// Read waits for bytes, the end of the other direction (io.EOF), a reset
// (ECONNRESET), the read deadline or Close.
func (c *PipeConn) Read(p []byte) (int, error) {
	n, err := c.in.read(p)
	return n, c.wrap("read", err)
}

// Write waits until all of p is buffered, the other end is gone (EPIPE), the
// write deadline or Close.
func (c *PipeConn) Write(p []byte) (int, error) {
	n, err := c.out.write(p)
	return n, c.wrap("write", err)
}

// CloseWrite ends our direction: the other end reads io.EOF after the last byte.
func (c *PipeConn) CloseWrite() error {
	return c.wrap("close", c.out.finish())
}

// SetLinger with 0 makes Close reset the connection, as on a net.TCPConn; any other
// value closes it in order.
func (c *PipeConn) SetLinger(seconds int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linger = seconds == 0
	return nil
}

// Close ends both directions. The other end reads what was written before, then
// io.EOF; it is reset instead where bytes of its own were left unread.
func (c *PipeConn) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return c.wrap("close", net.ErrClosed)
	}
	c.closed = true
	reset := c.linger
	c.mu.Unlock()

	unread := c.in.closeReader()
	c.out.closeWriter(reset || unread)
	return nil
}

// LocalAddr is an address of TEST-NET-1.
func (c *PipeConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr is the other end's LocalAddr.
func (c *PipeConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *PipeConn) SetDeadline(t time.Time) error {
	c.in.setReadDeadline(t)
	c.out.setWriteDeadline(t)
	return nil
}

// SetReadDeadline interrupts a pending Read too.
func (c *PipeConn) SetReadDeadline(t time.Time) error {
	c.in.setReadDeadline(t)
	return nil
}

// SetWriteDeadline interrupts a pending Write too.
func (c *PipeConn) SetWriteDeadline(t time.Time) error {
	c.out.setWriteDeadline(t)
	return nil
}

// Awaited is c as a link.Awaiter, which nobody needs to wait for with a goroutine.
func (c *PipeConn) Awaited() *AwaitedConn { return &AwaitedConn{c} }

// AwaitedConn is one end of a Pipe that can be awaited.
type AwaitedConn struct{ *PipeConn }

// AwaitReadable has wake called when Read would return at once; false: it would now.
func (c *AwaitedConn) AwaitReadable(wake func()) bool { return c.in.await(wake) }

// wrap dresses an error as package net would; io.EOF stays bare, as callers compare it.
func (c *PipeConn) wrap(op string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: "pipe", Source: c.local, Addr: c.remote, Err: err}
}

// Interface guards.
var (
	_ net.Conn                          = (*PipeConn)(nil)
	_ interface{ CloseWrite() error }   = (*PipeConn)(nil)
	_ interface{ SetLinger(int) error } = (*PipeConn)(nil)
)

// errReset is what a reset connection's calls fail with.
const errReset = syscall.ECONNRESET
