package edge

import (
	"sync"
	"time"
)

// stall cuts off an HTTP/2 visitor who grants no window for a stream, or a few bytes
// now and then: its connection is alive, so no deadline of the connection would
// notice. HTTP/1 needs none of this (see visitor.Write), and a nil stall does nothing.
//
// A write that waits because the connection itself is slow is the connection's affair:
// a hundred streams that share a thin line are each as slow as they must be.
type stall struct {
	x     *webExchange
	timer *time.Timer

	mu       sync.Mutex
	patience patience
	writing  bool
	began    time.Time
	before   time.Duration // the connection's own waiting until then
	slow     bool          // the last write waited long
}

func (x *webExchange) newStall() *stall {
	if x.r.ProtoMajor == 1 {
		return nil
	}
	s := &stall{x: x, patience: x.live.pace().begin()}
	x.visitor.addStall(s)
	return s
}

const (
	// waitsLong is how long a write takes to a visitor who is slow.
	waitsLong = time.Second
	// slowPiece is what a slow visitor is sent at once, so that what it takes is seen.
	slowPiece = 2 << 10
)

// piece shortens b for a visitor who is slow.
func (s *stall) piece(b []byte) []byte {
	if s == nil || !s.slow {
		return b
	}
	return b[:min(len(b), slowPiece)]
}

// begin is called before a write.
func (s *stall) begin() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing, s.began, s.before = true, time.Now(), s.x.visitor.writes.waited()
	if wait := max(0, s.patience.left); s.timer == nil {
		s.timer = time.AfterFunc(wait, s.look)
	} else {
		s.timer.Reset(wait)
	}
}

// end is called after it, with the bytes that were written.
func (s *stall) end(n int) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer.Stop()
	waited := s.waited()
	s.writing, s.slow = false, waited >= waitsLong
	s.patience.spend(waited)
	s.patience.earn(int64(n))
}

// waited is how long the write has waited for the stream's window. mu is held.
func (s *stall) waited() time.Duration {
	return time.Since(s.began) - (s.x.visitor.writes.waited() - s.before)
}

// look makes the write that waits fail, if it has waited for too long.
func (s *stall) look() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.writing {
		return
	}
	if left := s.patience.left - s.waited(); left > 0 {
		s.timer.Reset(left)
		return
	}
	_ = s.x.control.SetWriteDeadline(time.Unix(1, 0))
}

// pending is how long the write that is under way has waited; 0 for none.
func (s *stall) pending() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.writing {
		return 0
	}
	return time.Since(s.began)
}

func (s *stall) stop() {
	if s == nil {
		return
	}
	s.x.visitor.dropStall(s)
	if s.timer != nil {
		s.timer.Stop()
	}
}
