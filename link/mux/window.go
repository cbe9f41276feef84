package mux

import (
	"io"
	"time"
)

// leastRTT is the round trip assumed for the tuning of windows when the path is
// faster, or not measured yet: on such paths the goroutines' turns are the delay.
const leastRTT = 500 * time.Microsecond

// farPath is the round trip from which credit comes in eighths of a window: what is
// not announced yet is missing on the way. On shorter paths frames cost more.
const farPath = 2 * time.Millisecond

// portion is how much must have been read before the peer hears of it. rmu is held.
func (st *Stream) portion() int64 {
	if st.window > int64(st.session.config.Window) && st.session.roundTrip() >= farPath {
		return st.window / 8
	}
	return st.window / 2
}

// roundTrip is the path's, for the tuning of windows.
func (s *Session) roundTrip() time.Duration {
	return max(time.Duration(s.rttLeast.Load()), leastRTT)
}

// far tells a path that takes time from one on which only the processors do.
func (s *Session) far() bool { return time.Duration(s.rttLeast.Load()) >= farPath }

// due decides how much credit the peer gets now. Credit is given in portions of a
// window, so that a bulk transfer costs few frames. rmu is held.
func (st *Stream) due() uint32 {
	gap := st.window - st.credit - int64(st.unread)
	if gap < st.portion() || st.settled || st.readErr == io.EOF {
		return 0
	}
	st.tune(gap - st.overdrawn)
	gap = st.window - st.credit - int64(st.unread)
	if gap <= 0 {
		st.overdrawn = gap
		return 0
	}
	st.overdrawn = 0
	st.credit += gap
	return uint32(gap)
}

// tune sets the window by how the stream is read, read bytes since it was last
// called. While half of the session's memory is full of unread data, streams that
// leave data unread get smaller ones. rmu is held.
func (st *Stream) tune(read int64) {
	s := st.session
	now := time.Now()
	initial := int64(s.config.Window)

	if st.budget.used.Load() > st.budget.limit.Load()/2 {
		st.measured = time.Time{}
		if st.unread > 0 {
			st.resize(max(st.window/2, initial/4))
		}
		return
	}
	if st.window < initial {
		st.resize(initial)
		return
	}
	rtt := s.roundTrip()
	if share := st.budget.share(initial); st.window > share && st.budget.isShort(now, rtt) {
		st.resize(share)
		st.measured = time.Time{}
		return
	}
	if st.measured.IsZero() {
		st.measured, st.drained = now, 0
		return
	}
	if st.drained += read; st.drained < st.window {
		return
	}
	took, drained := now.Sub(st.measured), st.drained
	st.measured, st.drained = now, 0
	// A peer that waits for credit sends a window less a portion each round trip, or
	// a little more. Whatever comes about as fast is held back by its window.
	least := st.window - st.portion()
	if int64(st.unread) <= st.window/4 && int64(took)*least*8 <= 9*int64(rtt)*drained {
		st.enlarge(min(2*st.window, s.windowOf.Load()), now)
	}
}

// enlarge makes the window as large as wanted, as far as the budget has room. A
// stream that has less than its share makes others give way. rmu is held.
func (st *Stream) enlarge(wanted int64, now time.Time) {
	if wanted <= st.window {
		return
	}
	b, initial := st.budget, int64(st.session.config.Window)
	room := b.limit.Load()/2 - b.lent.Load()
	if share := b.share(initial); st.window < share {
		if st.window+room < wanted {
			b.short.Store(int64(now.Sub(b.began)))
			wanted = min(wanted, share)
		}
	} else if b.isShort(now, st.session.roundTrip()) {
		return // what others give is not for us
	}
	if wanted = min(wanted, st.window+room); wanted > st.window {
		st.resize(wanted)
	}
}

// resize changes the window and keeps the budget's count of what is granted above
// the initial window. rmu is held.
func (st *Stream) resize(window int64) {
	b, initial := st.budget, int64(st.session.config.Window)
	b.lent.Add(max(window-initial, 0) - max(st.window-initial, 0))
	switch {
	case window > initial && st.window <= initial:
		b.borrowers.Add(1)
	case window <= initial && st.window > initial:
		b.borrowers.Add(-1)
	}
	st.window = window
}

// share is the window that each stream may count on, one more than have a larger
// than the initial one included.
func (b *Budget) share(initial int64) int64 {
	return initial + b.limit.Load()/2/(b.borrowers.Load()+1)
}

// isShort tells whether a stream could not have its share of late. It tells so again
// every few of its round trips.
func (b *Budget) isShort(now time.Time, rtt time.Duration) bool {
	short := b.short.Load()
	return short != 0 && now.Sub(b.began)-time.Duration(short) < max(4*rtt, 100*time.Millisecond)
}

// settle ends the giving of credit, when the stream has left the session.
func (st *Stream) settle() {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	if !st.settled {
		st.settled = true
		st.resize(min(st.window, int64(st.session.config.Window)))
	}
}

// announce tells the peer about new credit. It rides on the next write, or the
// session's goroutine sends it: a Read never waits for the connection.
func (st *Stream) announce(credit uint32) {
	if credit > 0 {
		st.session.putControl(kindWindow, st.id, credit)
	}
}
