package ngrok

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
)

// ackConn asks the kernel, once it is told to, to acknowledge each arrival at
// once. ngrok-rust leaves Nagle's algorithm on: it holds back a small write until
// the one before is acknowledged, which a delaying receiver does after 40 ms.
type ackConn struct {
	net.Conn
	socket syscall.RawConn // nil where there is no TCP socket below
	quick  atomic.Bool
}

func newAckConn(conn net.Conn) *ackConn {
	return &ackConn{Conn: conn, socket: socketOf(conn)}
}

// socketOf finds the TCP socket below TLS and other wrappers.
func socketOf(conn net.Conn) syscall.RawConn {
	for conn != nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			if raw, err := tcp.SyscallConn(); err == nil {
				return raw
			}
			return nil
		}
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = wrapper.NetConn()
	}
	return nil
}

// acknowledgeQuickly takes effect with the next Read. The option does not stick:
// the kernel falls back to delaying, so it is set again after each Read.
func (c *ackConn) acknowledgeQuickly() {
	c.quick.Store(true)
	c.acknowledge()
}

// Read reads and then acknowledges.
func (c *ackConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.quick.Load() {
		c.acknowledge()
	}
	return n, err
}

// CloseWrite ends our direction, so that the multiplexer's goodbye is read before
// the connection closes.
func (c *ackConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn gives the connection below, for those who look for the socket.
func (c *ackConn) NetConn() net.Conn { return c.Conn }

func (c *ackConn) acknowledge() {
	if c.socket != nil {
		_ = c.socket.Control(setQuickAck) // fails on a closed socket only
	}
}
