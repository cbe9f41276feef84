package relay

import (
	"net"

	"github.com/postern-dev/postern"
)

// Conn is what can be relayed: a connection whose two directions end one by one.
// *net.TCPConn, *net.UnixConn, *tls.Conn, *Peeked and link.Stream are such.
type Conn interface {
	net.Conn

	// CloseWrite ends our direction; the peer reads io.EOF after the last byte.
	CloseWrite() error
}

// resetter is a connection that can tell its peer about an abnormal end in words,
// as a link.Stream can.
type resetter interface {
	Reset(why *postern.Error)
}

// wrapper is a connection around another one, as *tls.Conn and *Peeked are.
type wrapper interface {
	NetConn() net.Conn
}

// lingerer is a connection that can be torn down with a reset, as *net.TCPConn.
type lingerer interface {
	SetLinger(seconds int) error
}

// Abort ends c in a way that its peer cannot take for a clean end: a stream is
// reset with why, and a TCP connection sends RST, below TLS too (no close_notify).
// A connection that knows neither, such as a unix socket, is closed. Abort may be
// called at any time from anywhere, also while Read and Write are running.
func Abort(c net.Conn, why *postern.Error) {
	for inner := c; ; {
		switch at := inner.(type) {
		case resetter:
			at.Reset(why)
			_ = inner.Close() // gives resources back; the reset has said everything
			return
		case lingerer:
			_ = at.SetLinger(0)
			_ = inner.Close()
			return
		case wrapper:
			if below := at.NetConn(); below != nil {
				inner = below
				continue
			}
		}
		_ = inner.Close()
		return
	}
}
