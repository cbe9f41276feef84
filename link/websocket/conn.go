package websocket

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern/link"
)

// What both ends agree on: where the upgrade is asked for, and by what name.
const (
	Path        = "/postern/carrier"
	Subprotocol = "postern.1"
)

// Conn is a WebSocket as a stream of bytes. One Read and one Write may run at a time
// beside each other, and the other methods at any time. It has no half-close: what
// travels in it has a way of its own to say that it has ended.
//
// Deadlines are those of the connection below. One that passes while a call waits ends
// the Conn, since part of a frame may have been moved.
type Conn struct {
	socket  *websocket.Conn
	below   net.Conn
	out     *link.Wire
	message io.Reader // of the message that is being read; nil between two
	remote  net.Addr
}

func newConn(socket *websocket.Conn, below net.Conn, out *link.Wire, remote netip.Addr) *Conn {
	// A message is passed on while it arrives and never held, so its length is no risk.
	socket.SetReadLimit(-1)
	c := &Conn{socket: socket, below: below, out: out, remote: below.RemoteAddr()}
	if remote.IsValid() {
		c.remote = &net.TCPAddr{IP: remote.AsSlice(), Zone: remote.Zone()}
	}
	return c
}

// Read gives bytes of the peer's messages. The end of the connection below, or a
// WebSocket close, is io.EOF.
func (c *Conn) Read(b []byte) (int, error) {
	for {
		if c.message == nil {
			kind, message, err := c.socket.Reader(context.Background())
			if err != nil {
				return 0, ended(err)
			}
			if kind != websocket.MessageBinary {
				_ = c.Close()
				return 0, errors.New("websocket: the peer sent text")
			}
			c.message = message
		}
		n, err := c.message.Read(b)
		if err == io.EOF { // of the message: the library wraps the connection's
			c.message, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, ended(err)
		}
	}
}

// ended makes the ways in which a connection can end without harm io.EOF.
func ended(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed) && websocket.CloseStatus(err) >= 0,
		websocket.CloseStatus(err) == websocket.StatusNormalClosure, websocket.CloseStatus(err) == websocket.StatusGoingAway:
		return io.EOF
	}
	return err
}

// Write sends b as one message. The library writes it in pieces of 4 KiB, each of which
// would become a TLS record and a system call; they leave together.
func (c *Conn) Write(b []byte) (int, error) {
	c.out.Gather()
	err := c.socket.Write(context.Background(), websocket.MessageBinary, b)
	if err = errors.Join(err, c.out.Flush()); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close ends the connection at once, without WebSocket's own goodbye: what travels in
// it has said its own, and waiting for the peer's answer would serve nobody.
func (c *Conn) Close() error { return c.socket.CloseNow() }

// LocalAddr is the near address of the connection below.
func (c *Conn) LocalAddr() net.Addr { return c.below.LocalAddr() }

// RemoteAddr is the peer, or whom a trusted proxy named.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// NetConn gives the connection below.
func (c *Conn) NetConn() net.Conn { return c.below }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error { return c.below.SetDeadline(t) }

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.below.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.below.SetWriteDeadline(t) }

var _ net.Conn = (*Conn)(nil)
