package sshr

import (
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	// outSize is how much of what was written waits for the channel.
	outSize = 64 << 10
	// linger is how long a closed stream may take to send what waits.
	linger = 30 * time.Second
	// resetRequest tells who understands it that a stream ended abnormally.
	resetRequest = "reset@postern"
	// deafRequest is OpenSSH's word for "nobody reads any more what you send"
	// (PROTOCOL, section 2.1).
	deafRequest = "eow@openssh.com"
)

// carrier is the connection below a stream.
type carrier interface {
	// confirm returns nil once the peer has answered, else why it cannot.
	confirm() *postern.Error
	// left is told that nothing of the stream is in use any more.
	left(*stream)
	// over is told that the stream has ended for whoever had it.
	over(*stream)
}

// stream is a channel with deadlines. The channels of x/crypto/ssh have none, and a call
// that hangs in one can only be freed by ending the channel; so three goroutines of its
// own do what may hang, and Read and Write wait for them for as long as they may.
type stream struct {
	carrier       carrier
	local, remote net.Addr

	mu       sync.Mutex
	arrived  sync.Cond // something to read, room for more of it, or the end
	room     sync.Cond // room to write, or the end
	wake     chan struct{}
	channel  ssh.Channel // nil until the client has accepted it
	in       []byte      // has arrived, in the receiver's buffer
	out      []byte      // is to be sent
	failed   error       // why both directions ended
	ended    error       // what Read gives behind in
	deaf     error       // what Write gives
	finished bool        // CloseWrite was called
	closed   bool        // Close was called
	gone     bool        // the carrier knows that the stream has ended
	shutdown bool        // the client was told of the end of what we send
	over     bool        // the channel has ended
	forsaken bool        // the channel is ended without waiting for what is to be sent
	readBy   deadline
	writeBy  deadline
	linger   *time.Timer
}

var (
	_ link.Stream   = (*stream)(nil)
	_ link.Readable = (*stream)(nil)
)

func newStream(c carrier, local, remote net.Addr, first []byte) *stream {
	st := &stream{carrier: c, local: local, remote: remote, wake: make(chan struct{}, 1)}
	st.arrived.L, st.room.L = &st.mu, &st.mu
	st.out = append(st.out, first...)
	st.rouse()
	return st
}

// Read implements net.Conn.
func (st *stream) Read(p []byte) (int, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for {
		switch {
		case st.failed != nil:
			return 0, st.failed
		case st.closed:
			return 0, net.ErrClosed
		case st.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, nil
		case len(st.in) > 0:
			n := copy(p, st.in)
			if st.in = st.in[n:]; len(st.in) == 0 {
				st.arrived.Broadcast()
			}
			return n, nil
		case st.ended != nil:
			return 0, st.ended
		}
		st.arrived.Wait()
	}
}

// Readable implements link.Readable.
func (st *stream) Readable() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return len(st.in) > 0 || st.ended != nil || st.failed != nil || st.closed
}

// Write implements net.Conn. What it took is sent even if it fails in the end.
func (st *stream) Write(p []byte) (written int, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for {
		switch {
		case st.failed != nil:
			return written, st.failed
		case st.closed || st.finished:
			return written, net.ErrClosed
		case st.deaf != nil:
			return written, st.deaf
		case st.writeBy.passed():
			return written, os.ErrDeadlineExceeded
		case written == len(p):
			return written, nil
		case len(st.out) < outSize:
			n := min(outSize-len(st.out), len(p)-written)
			st.out = append(st.out, p[written:written+n]...)
			written += n
			st.rouse()
			if written == len(p) {
				return written, nil
			}
			continue
		}
		st.room.Wait()
	}
}

// rouse has the sender look again. mu is held.
func (st *stream) rouse() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// CloseWrite implements link.Stream.
func (st *stream) CloseWrite() error {
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.failed != nil:
		return st.failed
	case st.closed:
		return net.ErrClosed
	}
	st.finished = true
	st.rouse()
	st.room.Broadcast()
	return nil
}

// Close implements net.Conn: what was written is still sent, for a while.
func (st *stream) Close() error {
	st.mu.Lock()
	if st.closed || st.failed != nil {
		st.closed = true
		st.mu.Unlock()
		return nil
	}
	st.closed = true
	st.linger = time.AfterFunc(linger, st.abandon)
	st.end()
	st.mu.Unlock()
	st.carrier.over(st)
	return nil
}

// end wakes everybody up behind a change that ends the stream here. mu is held.
func (st *stream) end() {
	st.gone = true
	st.readBy.stop()
	st.writeBy.stop()
	st.rouse()
	st.arrived.Broadcast()
	st.room.Broadcast()
}

// Reset implements link.Stream.
func (st *stream) Reset(why *postern.Error) {
	if why == nil {
		why = &postern.Error{Code: postern.CodeStreamReset}
	}
	if st.fail(why) {
		go st.abandon()
	}
}

// fail ends both directions here, and tells whether they had not ended before.
func (st *stream) fail(why *postern.Error) bool {
	st.mu.Lock()
	if st.closed || st.failed != nil {
		st.mu.Unlock()
		return false
	}
	st.failed = why
	st.out = nil
	st.end()
	st.mu.Unlock()
	st.carrier.over(st)
	return true
}

// abandon ends the channel without waiting for what is to be sent. It may block for as
// long as the connection does.
func (st *stream) abandon() {
	st.mu.Lock()
	channel := st.channel
	st.out, st.forsaken = nil, true
	st.mu.Unlock()
	if channel != nil { // else run does it once there is one
		_, _ = channel.SendRequest(resetRequest, false, nil)
		_ = channel.Close()
	}
}

// LocalAddr implements net.Conn.
func (st *stream) LocalAddr() net.Addr { return st.local }

// RemoteAddr implements net.Conn.
func (st *stream) RemoteAddr() net.Addr { return st.remote }

// SetDeadline implements net.Conn.
func (st *stream) SetDeadline(t time.Time) error {
	_ = st.SetReadDeadline(t)
	return st.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (st *stream) SetReadDeadline(t time.Time) error {
	return st.setDeadline(&st.readBy, &st.arrived, t)
}

// SetWriteDeadline implements net.Conn.
func (st *stream) SetWriteDeadline(t time.Time) error {
	return st.setDeadline(&st.writeBy, &st.room, t)
}

func (st *stream) setDeadline(d *deadline, waiting *sync.Cond, t time.Time) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.gone {
		return net.ErrClosed
	}
	d.set(t, func() {
		st.mu.Lock()
		defer st.mu.Unlock()
		waiting.Broadcast()
	})
	waiting.Broadcast()
	return nil
}
