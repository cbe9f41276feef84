package mux

import (
	"sync/atomic"
	"time"
)

// lookUnsent is how soon the kernel is asked again whether it has sent what it took.
const lookUnsent = 5 * time.Millisecond

// hold keeps bulk back on a slow connection while the kernel has bytes to send: what
// waits here goes by turns, and can still leave for another connection; what the
// kernel has taken stands before every click. wmu guards it but for on.
type hold struct {
	on      atomic.Bool
	never   bool // the connection is for bulk
	unsent  unsent
	waiting int       // bytes that the kernel had not sent then
	since   time.Time // and when that was
	timer   *time.Timer
}

// ForBulk says that nobody on this session waits for anybody: bulk is never held
// back, and the kernel has enough to send.
func (s *Session) ForBulk() {
	s.wmu.Lock()
	s.out.hold.never = true
	s.wmu.Unlock()
}

// holdBulk has bulk wait if the kernel still has more than the path carries at once.
// It returns how much that is, where it matters. wmu is held, after a write.
func (s *Session) holdBulk() int {
	h, p := &s.out.hold, &s.out.pace
	if !p.slow.Load() || h.never || s.dead || h.on.Load() || !s.far() {
		return 0
	}
	n := h.unsent.bytes()
	if n <= p.unsent() {
		return n
	}
	h.on.Store(true)
	h.waiting, h.since = n, time.Now()
	if h.timer == nil {
		h.timer = time.AfterFunc(lookUnsent, s.release)
	} else {
		h.timer.Reset(lookUnsent)
	}
	return n
}

// release lets bulk go on once the kernel has sent what it had. It runs on a goroutine
// of the runtime's timers and does not block.
func (s *Session) release() {
	defer s.recovered("timer")
	s.wmu.Lock()
	defer s.wmu.Unlock()
	h := &s.out.hold
	if s.dead || s.writeErr != nil {
		return
	}
	n := h.unsent.bytes()
	if n > s.out.pace.unsent() && !h.never {
		h.timer.Reset(lookUnsent)
		return
	}
	s.out.pace.sent(h.waiting-n, time.Since(h.since), time.Duration(s.rttLeast.Load()))
	h.on.Store(false)
	if !s.out.bulk.empty() {
		s.kick()
	}
}
