package native

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
)

// stream is a visitor's stream, or a consumer's, that can move. It starts as one stream of carrier 0
// in both directions. Each end moves the direction that it writes: it opens a leg on
// another carrier and ends the old one with a frame that says so. The reader reads
// the old leg to its end and goes on with the new one, so the order of bytes never
// depends on which carrier is faster. A writer moves again only after the reader
// has come to its present leg: at most two windows of a direction are on their way.
type stream struct {
	carriers *carriers
	root     *mux.Stream

	writing sync.Mutex // held by the Write or CloseWrite under way
	meter   meter      // guarded by writing
	legs    uint32     // moves of ours so far; guarded by writing
	moved   int        // bytes since the last move; guarded by writing

	// Guarded by carriers.mu.
	placed *further // the carrier that our direction counts on, nil for carrier 0
	over   bool     // takes no place any more

	mu         sync.Mutex
	changed    sync.Cond
	out, in    leg // out changes under writing too, in only by Read
	next       leg // has arrived, Read will come to it
	arrived    uint32
	failure    error // after Reset, Close or the loss of a carrier
	readEnded  bool
	writeEnded bool
	readUntil  time.Time
	writeUntil time.Time
	timer      *time.Timer
}

var (
	_ link.Stream   = (*stream)(nil)
	_ link.Readable = (*stream)(nil)
	_ link.Awaiter  = (*stream)(nil)
)

func newStream(c *carriers, root *mux.Stream) *stream {
	s := &stream{carriers: c, root: root, out: leg{Stream: root}, in: leg{Stream: root}}
	s.changed.L = &s.mu
	return s
}

// LocalAddr is that of carrier 0.
func (s *stream) LocalAddr() net.Addr { return s.root.LocalAddr() }

// RemoteAddr is that of carrier 0.
func (s *stream) RemoteAddr() net.Addr { return s.root.RemoteAddr() }

// Write sends p, as mux.Stream does, on whichever carrier suits the stream.
func (s *stream) Write(p []byte) (n int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	calledBack := false
	for {
		part := p[:min(len(p), s.carriers.portion(s.out.on == nil))]
		s.consider(len(part), calledBack)
		k, err := s.put(part, calledBack)
		n += k
		p = p[k:]
		if calledBack = err == mux.ErrYielded; calledBack {
			s.meter.add(k-len(part), false) // the rest is counted again
			err = nil
		}
		if err != nil || len(p) == 0 {
			return n, err
		}
	}
}

// yield calls a Write back that waits, so that the stream is considered again.
func (s *stream) yield() {
	s.mu.Lock()
	out := s.out
	s.mu.Unlock()
	out.Yield()
}

// put writes to our present leg. Where the path takes time it takes the time that
// this takes: a stream that waits is not calm, and what would wait on carrier 0 is
// considered once more before it does. writing is held.
func (s *stream) put(p []byte, calledBack bool) (n int, err error) {
	if !s.carriers.far() {
		return s.out.Write(p)
	}
	if s.out.on == nil && !calledBack {
		return s.out.WriteNow(p)
	}
	began := time.Now()
	n, err = s.out.Write(p)
	s.meter.waited(time.Since(began))
	return n, err
}

// consider moves the stream if that is of use, before n bytes are written; calledBack
// if it waited with them until a carrier came. writing is held.
func (s *stream) consider(n int, calledBack bool) {
	home := s.out.on == nil
	slow := s.out.Slow()
	look := s.meter.add(n, slow) || calledBack
	if home && (n > small || calledBack) && s.carriers.far() && s.carriers.zero.Crowded() {
		s.meter.crowd()
		look = true
	}
	s.moved += n
	if forced := s.carriers.forced; forced != nil {
		if to, ok := forced.next(s.carriers, s.out.on); ok && s.mayMove() {
			s.move(to)
		}
		return
	}
	if home && !look {
		return
	}
	now := time.Now()
	if !home && s.meter.calm(now) {
		s.goHome()
		return
	}
	if !look {
		return
	}
	s.meter.look(now)
	if home && !s.meter.bulk(slow) || !s.mayMove() {
		return
	}
	if to, from := s.carriers.place(s, s.moved, slow); to != nil && !s.move(to) {
		s.carriers.putBack(s, from)
	}
}

// goHome takes a stream that is no longer bulk back to carrier 0.
func (s *stream) goHome() {
	if s.mayMove() && s.move(nil) {
		s.carriers.leave(s)
	}
}

// mayMove tells whether the peer's reader has come to our present leg: it ends the
// other direction of a leg then.
func (s *stream) mayMove() bool { return s.legs == 0 || s.out.Ended() }

// move has what is written from now on go over another carrier (nil: carrier 0). It
// waits for nothing: a carrier that cannot take another leg at once is not used.
// writing is held.
func (s *stream) move(to *further) bool {
	session, number := s.carriers.zero, uint32(0)
	if to != nil {
		session, number = to.Session, to.number
	}
	next, err := session.Open(s.carriers.atOnce, typeContinue, appendContinue(nil, s.root.ID(), s.legs+1))
	if err != nil {
		return false
	}
	s.mu.Lock()
	err = s.failure
	if err == nil && !s.writeUntil.IsZero() {
		_ = next.SetWriteDeadline(s.writeUntil)
	}
	if err == nil {
		err = s.out.Move(number)
	}
	if err != nil {
		s.mu.Unlock()
		next.Reset(&postern.Error{Code: postern.CodeStreamReset})
		return false // the leg that stays has the error
	}
	s.out = leg{next, to}
	s.mu.Unlock()
	s.legs++
	s.moved = 0
	return true
}

// Read reads on over all legs.
func (s *stream) Read(p []byte) (int, error) {
	for {
		n, err := s.in.Read(p)
		if err != io.EOF {
			if err != nil {
				s.broken(err)
			}
			return n, err
		}
		number, moved := s.in.Moved()
		if !moved {
			s.ended(&s.readEnded)
			return 0, io.EOF
		}
		if err := s.follow(number); err != nil {
			return 0, err
		}
	}
}

// Readable tells whether Read would return at once. The end of a leg is not the end of
// the stream: what counts is then what has come on the next one.
func (s *stream) Readable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range []leg{s.in, s.next} {
		if s.failure != nil {
			return true
		}
		if l.Stream == nil || !l.Readable() {
			return false
		}
		if _, moved := l.Moved(); !moved || l.Unread() {
			return true
		}
	}
	return false
}

// AwaitReadable implements link.Awaiter. The end of a leg wakes too: the Read that follows
// goes over to the next one.
func (s *stream) AwaitReadable(wake func()) bool {
	s.mu.Lock()
	failed, in := s.failure != nil, s.in
	s.mu.Unlock()
	return !failed && in.AwaitReadable(wake)
}

// follow goes over to the next leg, on the carrier that the last one named, and
// waits for it to arrive.
func (s *stream) follow(number uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.next.Stream == nil {
		switch {
		case s.failure != nil:
			return s.failure
		case !s.readUntil.IsZero() && !time.Now().Before(s.readUntil):
			return os.ErrDeadlineExceeded
		case !s.carriers.has(number):
			s.fail(errCarrierLost)
			return s.failure
		}
		s.wait()
	}
	if s.failure != nil {
		return s.failure
	}
	if s.next.number() != number {
		s.fail(postern.Errorf(postern.CodeProtocolViolation,
			"a stream was to go on over carrier %d and did over %d", number, s.next.number()))
		return s.failure
	}
	s.in, s.next = s.next, leg{}
	s.in.EndQuietly() // tells the writer that it may move again
	return nil
}

// wait waits for a change or the read deadline. mu is held.
func (s *stream) wait() {
	if !s.readUntil.IsZero() {
		left := time.Until(s.readUntil)
		if s.timer == nil {
			s.timer = time.AfterFunc(left, s.wake)
		} else {
			s.timer.Reset(left)
		}
		defer s.timer.Stop()
	}
	s.changed.Wait()
}

func (s *stream) wake() {
	s.mu.Lock()
	s.changed.Broadcast()
	s.mu.Unlock()
}

// offer hands over a leg that has arrived, the number-th of the peer's direction.
func (s *stream) offer(l leg, number uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.failure != nil:
		l.Reset(&postern.Error{Code: postern.CodeStreamReset})
	case number != s.arrived+1 || s.next.Stream != nil:
		l.Reset(&postern.Error{Code: postern.CodeProtocolViolation})
		s.fail(postern.Errorf(postern.CodeProtocolViolation, "leg %d of a stream came after leg %d", number, s.arrived))
	default:
		s.arrived++
		s.next = l
		_ = l.SetReadDeadline(s.readUntil)
		l.Widen(s.in.Window())
		s.changed.Broadcast()
	}
}

// CloseWrite ends our direction.
func (s *stream) CloseWrite() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.out.CloseWrite()
	if err == nil {
		s.ended(&s.writeEnded)
	}
	s.carriers.leave(s)
	return err
}

// ended notes the end of one direction; after both nobody needs to find the stream.
func (s *stream) ended(direction *bool) {
	s.mu.Lock()
	*direction = true
	both := s.readEnded && s.writeEnded
	s.mu.Unlock()
	if both {
		s.carriers.forget(s)
	}
}

// parts lists the legs that may still be in use. mu is held.
func (s *stream) parts() []*mux.Stream {
	parts := append(make([]*mux.Stream, 0, 4), s.root)
	for _, l := range []leg{s.in, s.out, s.next} {
		if l.Stream != nil && l.Stream != s.root {
			parts = append(parts, l.Stream)
		}
	}
	return parts
}

// Close ends both directions, as mux.Stream does.
func (s *stream) Close() error {
	s.mu.Lock()
	if s.failure == nil {
		s.failure = net.ErrClosed
	}
	parts := s.parts()
	s.changed.Broadcast()
	s.mu.Unlock()
	for _, part := range parts {
		_ = part.Close()
	}
	s.carriers.forget(s)
	return nil
}

// Reset ends both directions abnormally.
func (s *stream) Reset(why *postern.Error) {
	if why == nil {
		why = postern.Errorf(postern.CodeStreamReset, "The stream was reset.")
	}
	s.mu.Lock()
	if s.failure == nil {
		s.fail(why)
	}
	s.mu.Unlock()
	s.carriers.forget(s)
}

// broken ends the stream whose present leg the peer has reset: it resets all that it has,
// but those on other carriers may be heard of later.
func (s *stream) broken(err error) {
	coded, ok := errors.AsType[*postern.Error](err)
	if !ok {
		return // a deadline, or it is closed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.fail(coded)
	}
}

// fail resets every leg. mu is held.
func (s *stream) fail(why *postern.Error) {
	s.failure = why
	for _, part := range s.parts() {
		part.Reset(why)
	}
	s.changed.Broadcast()
}

// carrierLost ends a stream whose bytes were on a carrier that is gone (nil: all
// are). What had arrived in full stays readable.
func (s *stream) carrierLost(f *further) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hit := f == nil && s.in.on != nil || f != nil && s.in.on == f
	hit = hit && !s.in.Ended()
	hit = hit || s.next.Stream != nil && (f == nil || s.next.on == f) && !s.next.Ended()
	hit = hit || !s.writeEnded && s.out.on != nil && (f == nil || s.out.on == f)
	if hit && s.failure == nil {
		s.fail(errCarrierLost)
	}
	s.changed.Broadcast() // a Read that waits for a leg looks whether it can come
}

// SetDeadline sets both deadlines.
func (s *stream) SetDeadline(t time.Time) error {
	_ = s.SetReadDeadline(t)
	return s.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of Read, on every leg.
func (s *stream) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readUntil = t
	if s.next.Stream != nil {
		_ = s.next.SetReadDeadline(t)
	}
	s.changed.Broadcast()
	return s.in.SetReadDeadline(t)
}

// SetWriteDeadline sets the deadline of Write, on every leg.
func (s *stream) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeUntil = t
	return s.out.SetWriteDeadline(t)
}

// errCarrierLost is what a stream ends with whose carrier failed.
var errCarrierLost = postern.Errorf(postern.CodeLinkLost, "The connection that carried the stream failed.")
