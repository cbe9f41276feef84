package relay

import (
	"errors"
	"io"
	"net"
	"syscall"

	"github.com/postern-dev/postern"
)

// Peeked is a connection whose first bytes were looked at before it is known who
// is to read them. Peek, Take and Read belong to one goroutine at a time; the other
// methods are those of the connection below. Once Read has given the kept bytes
// out, Peeked holds no memory and costs a nil check.
type Peeked struct {
	net.Conn
	kept   []byte // read from Conn and not yet given out
	limit  int
	failed error // what ended the last read below; given out after kept

	local, remote net.Addr // where a PROXY header replaced the connection's own
}

// firstRead is what a first look asks for: it holds most ClientHellos and request
// heads, so that one system call serves sniffing and parsing.
const firstRead = 2 << 10

// NewPeeked wraps conn, which it owns from now on. Peek will never keep more than
// limit bytes. Deadlines are the caller's: a stranger's first bytes must not be
// awaited for ever.
func NewPeeked(conn net.Conn, limit int) *Peeked {
	return &Peeked{Conn: conn, limit: limit}
}

// Peek returns the first n unread bytes without consuming them, and blocks until
// they are there. It may return more than n, everything that has arrived. The bytes
// are valid until the next Peek or Read. With fewer than n bytes the error says
// why: CodeHeaderTooLarge when n is beyond the limit, else what the connection's
// Read returned (io.EOF, os.ErrDeadlineExceeded, …).
func (p *Peeked) Peek(n int) ([]byte, error) {
	if n > p.limit {
		return p.kept, postern.Errorf(postern.CodeHeaderTooLarge,
			"the connection's first message has more than the %d bytes allowed", p.limit)
	}
	for len(p.kept) < n {
		if p.failed != nil {
			return p.kept, p.failed
		}
		p.more(n)
	}
	return p.kept, nil
}

// more reads once from below, with room for at least n bytes in all.
func (p *Peeked) more(n int) {
	if cap(p.kept) < n || cap(p.kept) == len(p.kept) {
		size := min(max(n, 2*cap(p.kept), firstRead), p.limit)
		grown := make([]byte, len(p.kept), size)
		copy(grown, p.kept)
		p.kept = grown
	}
	read, err := p.Conn.Read(p.kept[len(p.kept):cap(p.kept)])
	p.kept = p.kept[:len(p.kept)+read]
	if err != nil {
		p.failed = err
	}
}

// Buffered returns the bytes that were read and not consumed; they are valid until
// the next Peek or Read.
func (p *Peeked) Buffered() []byte { return p.kept }

// Socket is the socket that Read reads now; nil while bytes are kept, or where it is none.
func (p *Peeked) Socket() syscall.Conn {
	if len(p.kept) > 0 || p.failed != nil {
		return nil
	}
	socket, _ := p.Conn.(syscall.Conn)
	return socket
}

// Take consumes and returns the bytes that were read and not consumed, to send them
// in one piece with what opens the other side. The caller owns them.
func (p *Peeked) Take() []byte {
	kept := p.kept
	p.kept = nil
	return kept
}

// Read gives out the kept bytes, then reads from the connection.
func (p *Peeked) Read(b []byte) (int, error) {
	if len(p.kept) > 0 {
		n := copy(b, p.kept)
		if p.kept = p.kept[n:]; len(p.kept) == 0 {
			p.kept = nil // lets the memory go
		}
		return n, nil
	}
	if p.failed != nil {
		err := p.failed
		if !errors.Is(err, io.EOF) {
			p.failed = nil // a deadline that passed may have been moved since
		}
		return 0, err
	}
	return p.Conn.Read(b)
}

// CloseWrite ends our direction; it fails where the connection below cannot.
func (p *Peeked) CloseWrite() error {
	if half, ok := p.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn returns the connection below. Bytes that were peeked are not in it.
func (p *Peeked) NetConn() net.Conn { return p.Conn }

// RemoteAddr is the peer, or whom a PROXY header names.
func (p *Peeked) RemoteAddr() net.Addr {
	if p.remote != nil {
		return p.remote
	}
	return p.Conn.RemoteAddr()
}

// LocalAddr is the address the peer connected to, or that a PROXY header names.
func (p *Peeked) LocalAddr() net.Addr {
	if p.local != nil {
		return p.local
	}
	return p.Conn.LocalAddr()
}

var _ Conn = (*Peeked)(nil)
