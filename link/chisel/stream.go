package chisel

import (
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
	"github.com/postern-dev/postern/link"
)

const (
	// smallRead is what a quiet stream waits with. More than that takes a large buffer
	// until what has come is handed on.
	smallRead = 512
	// burstPause is how long the beginning of a burst waits for its rest, which is there
	// already unless the burst has exactly smallRead bytes.
	burstPause = time.Millisecond
	// lingerTimeout is how long what was written before Close may take to leave.
	lingerTimeout = 30 * time.Second
)

// stream is one channel of SSH as a link.Stream. SSH's own channels have no deadlines,
// so one goroutine reads ahead of Read, a little, and one writes behind Write while
// there is something to write.
//
// How it ends. SSH knows the end of one direction and the end of both, and no reset.
// Between two Posterns a channel request that comes before the end of both says that
// it is abnormal, and why. chisel ends both directions at once, whatever happened, and
// says nothing: that end is clean, with three exceptions in which it cannot be. The
// link was lost; the end was not the peer's but SSH's; or not a byte has come from a
// client that accepts a channel before it dials: its target was not there.
// A Reset towards chisel is an end of both directions.
type stream struct {
	tunnel   *tunnel
	outbound bool // we have opened it

	mu   sync.Mutex
	turn sync.Cond // something changed for who reads, or for both
	room sync.Cond // something changed for who writes

	opener func() (ssh.Channel, <-chan *ssh.Request, error) // nil once run has begun
	refuse func(why *postern.Error)                         // instead of opener; nil where we opened
	leave  func()                                           // once, when the tunnel forgets the stream; may be nil

	channel  ssh.Channel // nil until it is open
	requests <-chan *ssh.Request

	unread    []byte // in small, or in the slab of a burst
	received  bool   // at least a byte
	readError error  // behind unread
	readBy    alarm
	finished  bool // nothing more is read
	orphan    bool // the tunnel has ended
	pour      func([]byte) bool
	pouring   bool // pour is running

	draw       func([]byte) int
	drawing    bool // draw is running
	out        *slab
	outN       int
	written    int // in all, up to shortTotal at least
	draining   bool
	writeError error
	writeBy    alarm

	half   halfClose
	closed bool
	told   bool           // the peer was told that all has ended
	why    *postern.Error // of our Reset
	their  *postern.Error // the peer's
	linger *time.Timer

	burst     *time.Timer
	burstHead []byte // the beginning of a burst, not yet offered
	small     [smallRead]byte
}

var (
	_ link.Stream   = (*stream)(nil)
	_ link.Readable = (*stream)(nil)
	_ link.Pump     = (*stream)(nil)
)

func newStream(t *tunnel, opener func() (ssh.Channel, <-chan *ssh.Request, error), refuse func(*postern.Error)) *stream {
	s := &stream{tunnel: t, outbound: refuse == nil, opener: opener, refuse: refuse}
	s.turn.L, s.room.L = &s.mu, &s.mu
	return s
}

// start opens the channel without waiting for it.
func (s *stream) start() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
}

// begin opens, or accepts, the channel. mu is held.
func (s *stream) begin() {
	if s.opener == nil {
		return
	}
	opener := s.opener
	s.opener = nil
	go s.run(opener)
}

// run is the stream's goroutine: it opens the channel and reads it to its end.
func (s *stream) run(opener func() (ssh.Channel, <-chan *ssh.Request, error)) {
	channel, requests, err := opener()
	s.mu.Lock()
	if err != nil {
		why := s.notOpened(err)
		s.readError, s.writeError, s.finished, s.told = why, why, true, true
		s.discardOut()
		s.changed()
		s.forget()
		s.mu.Unlock()
		return
	}
	s.channel, s.requests = channel, requests
	if s.why != nil {
		go s.tellReset()
	}
	s.kick()
	s.mu.Unlock()
	if s.tunnel.Cause() != nil {
		s.discardRequests()
	}
	s.ended(s.read())
}

// notOpened translates the refusal of a channel.
func (s *stream) notOpened(err error) *postern.Error {
	if lost := s.tunnel.lost(); lost != nil {
		return lost
	}
	refusal, ok := err.(*ssh.OpenChannelError)
	switch {
	case !ok:
		return postern.Errorf(postern.CodeLinkLost, "the connection ended").Because(err)
	case refusal.Reason == ssh.ConnectionFailed:
		return postern.Errorf(postern.CodeUpstreamUnreachable, "%s", frames.Printable(clipped(refusal.Message)))
	}
	return postern.Errorf(postern.CodeStreamRefused, "%s", frames.Printable(clipped(refusal.Message)))
}

// Read implements net.Conn.
func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	for {
		if len(s.unread) > 0 && s.readStops() == nil {
			n := copy(p, s.unread)
			if s.unread = s.unread[n:]; len(s.unread) == 0 {
				s.turn.Broadcast()
			}
			return n, nil
		}
		if err := s.readFails(); err != nil {
			return 0, err
		}
		s.turn.Wait()
	}
}

// Write implements net.Conn. What it says it has taken is sent, unless the stream
// fails.
func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	total := 0
	for {
		if err := s.writeFails(); err != nil {
			return total, err
		}
		if len(p) == 0 {
			return total, nil
		}
		if s.short(p) {
			n := s.writeShort(p)
			total += n
			p = p[n:]
			continue
		}
		if s.outN == slabSize {
			s.room.Wait()
			continue
		}
		if s.out == nil {
			s.out = slabs.Get().(*slab)
		}
		n := copy(s.out[s.outN:], p)
		s.outN += n
		s.written += n
		s.half.answered = false
		total += n
		p = p[n:]
		s.kick()
	}
}

// CloseWrite implements link.Stream. Towards clients that would take it for the end of
// both directions it is held back for a while, see halfClose.
func (s *stream) CloseWrite() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	switch {
	case s.why != nil:
		return s.why
	case s.closed:
		return net.ErrClosed
	case s.writeError != nil:
		return s.writeError
	case !s.half.asked:
		s.half.ask(s)
		s.kick()
	}
	return nil
}

// Close implements net.Conn. What was written before is sent.
func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.begin()
	s.closed = true
	s.hush()
	if s.why == nil && !s.told {
		s.linger = time.AfterFunc(lingerTimeout, s.giveUp)
		s.kick()
	}
	s.forget()
	return nil
}

// giveUp ends a stream whose last bytes nobody takes.
func (s *stream) giveUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.told && s.why == nil && s.channel != nil {
		s.why = &postern.Error{Code: postern.CodeStreamReset}
		s.discardOut()
		go s.tellReset()
	}
}

// Reset implements link.Stream.
func (s *stream) Reset(why *postern.Error) {
	if why == nil {
		why = &postern.Error{Code: postern.CodeStreamReset}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.why != nil {
		return
	}
	s.why = why
	s.discardOut()
	s.hush()
	switch {
	case s.opener != nil: // the peer has opened it, and waits
		s.opener, s.finished, s.told = nil, true, true
		go s.refuse(why)
	case s.channel != nil && !s.told:
		go s.tellReset()
	}
	s.forget()
}

// hush frees all pending calls; nothing more is offered to Read. mu is held.
func (s *stream) hush() {
	s.unread = nil
	s.readBy.stop()
	s.writeBy.stop()
	s.half.stop()
	s.changed()
}

// changed wakes who reads and who writes. mu is held.
func (s *stream) changed() {
	s.turn.Broadcast()
	s.room.Broadcast()
}

// forget lets the tunnel go on without the stream, once nothing more can come of it.
// mu is held.
func (s *stream) forget() {
	if !s.finished || !s.told {
		return
	}
	if s.linger != nil {
		s.linger.Stop()
	}
	if leave := s.leave; leave != nil {
		s.leave = nil
		leave()
	}
	s.tunnel.remove(s)
}

// SetDeadline implements net.Conn.
func (s *stream) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (s *stream) SetReadDeadline(t time.Time) error {
	return s.setDeadline(&s.readBy, t, s.turn.Broadcast)
}

// SetWriteDeadline implements net.Conn.
func (s *stream) SetWriteDeadline(t time.Time) error {
	return s.setDeadline(&s.writeBy, t, s.room.Broadcast)
}

func (s *stream) setDeadline(a *alarm, t time.Time, wake func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	a.set(t, &s.mu, wake)
	return nil
}

// Readable implements link.Readable.
func (s *stream) Readable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.unread) > 0 || s.readError != nil || s.closed || s.why != nil
}

// LocalAddr is the connection's.
func (s *stream) LocalAddr() net.Addr { return s.tunnel.conn.LocalAddr() }

// RemoteAddr is the connection's.
func (s *stream) RemoteAddr() net.Addr { return s.tunnel.conn.RemoteAddr() }

// lose ends the stream with its tunnel, whose own goroutines may take longer.
func (s *stream) lose(why *postern.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orphan = true
	if s.readError == nil {
		s.readError = why
	}
	if s.writeError == nil {
		s.writeError = why
	}
	s.changed()
}

// broken tells why nothing can be written any more.
func (s *stream) broken(err error) error {
	if lost := s.tunnel.lost(); lost != nil {
		return lost
	}
	s.takeRequests()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.their != nil {
		return s.their
	}
	if err == io.EOF { // the peer has closed the channel
		err = syscall.EPIPE
	}
	return postern.Errorf(postern.CodeStreamReset, "the other side takes no more").Because(err)
}
