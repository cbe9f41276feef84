package chisel

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// mostUnread is what waits for the reader of one flow. What comes beyond it is lost, as
// datagrams are.
const mostUnread = 256 << 10

// flow is one visitor's datagrams: a stream in which each stands behind its length in
// 16 bits, big-endian. An empty datagram is one with length 0. It has no end that the
// wire could carry: CloseWrite and Close are local.
type flow struct {
	source string
	of     *datagrams

	mu        sync.Mutex
	turn      sync.Cond
	unread    []byte
	at        int // of the first unread byte
	readError error
	readBy    alarm
	partial   []byte // of a datagram that is being written
	half      bool
	closed    bool
	why       *postern.Error
	lost      uint64
}

var (
	_ link.Stream   = (*flow)(nil)
	_ link.Readable = (*flow)(nil)
)

func newFlow(of *datagrams, source string) *flow {
	f := &flow{of: of, source: source}
	f.turn.L = &f.mu
	return f
}

// Read implements net.Conn.
func (f *flow) Read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.why != nil:
			return 0, f.why
		case f.closed:
			return 0, net.ErrClosed
		case f.readBy.passed:
			return 0, os.ErrDeadlineExceeded
		case len(f.unread) > f.at:
			n := copy(p, f.unread[f.at:])
			if f.at += n; f.at == len(f.unread) {
				f.unread, f.at = f.unread[:0], 0
				if cap(f.unread) > 4<<10 {
					f.unread = nil
				}
			}
			return n, nil
		case f.readError != nil:
			return 0, f.readError
		}
		f.turn.Wait()
	}
}

// put gives Read a datagram.
func (f *flow) put(payload []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || f.why != nil || len(f.unread)-f.at+2+len(payload) > mostUnread {
		f.lost++
		return
	}
	if f.at > mostUnread/2 {
		f.unread, f.at = f.unread[:copy(f.unread, f.unread[f.at:])], 0
	}
	f.unread = binary.BigEndian.AppendUint16(f.unread, uint16(len(payload)))
	f.unread = append(f.unread, payload...)
	f.turn.Broadcast()
}

// end has Read fail behind what is there.
func (f *flow) end(why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readError == nil {
		f.readError = why
		f.turn.Broadcast()
	}
}

// Write implements net.Conn. It never waits: a datagram for which there is no room is
// lost, and so is one that is longer than UDP's.
func (f *flow) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.why != nil:
		return 0, f.why
	case f.closed:
		return 0, net.ErrClosed
	case f.half:
		return 0, io.ErrClosedPipe
	case f.readError != nil && f.readError != io.EOF:
		return 0, f.readError
	}
	rest := p
	if len(f.partial) > 0 {
		f.partial = append(f.partial, p...)
		rest = f.partial
	}
	for len(rest) >= 2 {
		n := int(binary.BigEndian.Uint16(rest))
		if len(rest) < 2+n {
			break
		}
		if n > mostDatagram || !f.of.send(f.source, rest[2:2+n]) {
			f.lost++
		}
		rest = rest[2+n:]
	}
	f.partial = append([]byte(nil), rest...)
	return len(p), nil
}

// Lost counts the datagrams, both ways, that were lost here.
func (f *flow) Lost() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lost
}

// CloseWrite implements link.Stream.
func (f *flow) CloseWrite() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.half = true
	return nil
}

// Close implements net.Conn.
func (f *flow) Close() error {
	f.stop(nil)
	return nil
}

// Reset implements link.Stream; the peer does not hear of it.
func (f *flow) Reset(why *postern.Error) {
	if why == nil {
		why = &postern.Error{Code: postern.CodeStreamReset}
	}
	f.stop(why)
}

func (f *flow) stop(why *postern.Error) {
	f.mu.Lock()
	if f.closed || why != nil && f.why != nil {
		f.mu.Unlock()
		return
	}
	first := f.why == nil
	f.closed = why == nil
	if first {
		f.why = why
	}
	f.unread, f.partial = nil, nil
	f.readBy.stop()
	f.turn.Broadcast()
	f.mu.Unlock()
	if first {
		f.of.leave(f)
	}
}

// SetDeadline implements net.Conn.
func (f *flow) SetDeadline(t time.Time) error { return f.SetReadDeadline(t) }

// SetReadDeadline implements net.Conn.
func (f *flow) SetReadDeadline(t time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return net.ErrClosed
	}
	f.readBy.set(t, &f.mu, f.turn.Broadcast)
	return nil
}

// SetWriteDeadline implements net.Conn: Write never waits.
func (f *flow) SetWriteDeadline(time.Time) error { return nil }

// Readable implements link.Readable.
func (f *flow) Readable() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.unread) > f.at || f.readError != nil || f.closed || f.why != nil
}

// LocalAddr is the connection's.
func (f *flow) LocalAddr() net.Addr { return f.of.tunnel.conn.LocalAddr() }

// RemoteAddr is the connection's.
func (f *flow) RemoteAddr() net.Addr { return f.of.tunnel.conn.RemoteAddr() }
