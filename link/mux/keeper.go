package mux

import "time"

const (
	// keeperStays is how long the session's writing goroutine waits for more to do.
	keeperStays = 500 * time.Millisecond

	// briefStarts is how often within that time it is started and goes at once. An
	// idle session, which sends and answers a ping now and then, is spared the stack
	// of one that waits, and that of the timer which ends it.
	briefStarts = 4
)

// keeper is the session's writing goroutine, which writes what nobody else is there
// to write. It exists while there is something of that kind. Guarded by wmu.
type keeper struct {
	runs   bool
	handed bool          // the output's busy mark is for it
	leaves bool          // it is to end, unless it has something to do
	starts int           // since began
	began  time.Time     // of starts that are close to each other
	kicks  uint32        // how often it was asked to write
	seen   uint32        // kicks at the last look
	kicked chan struct{} // wakes it; of one
}

// wake hands the output's busy mark to the keeper. wmu is held.
func (s *Session) wake() {
	k := &s.keeper
	k.handed = true
	k.kicks++
	if k.runs {
		k.nudge()
		return
	}
	k.runs = true
	go s.keep()
	now := time.Now()
	if now.Sub(k.began) > keeperStays {
		k.began, k.starts = now, 0
	}
	if k.starts++; k.starts <= briefStarts {
		k.leaves = true
		return
	}
	s.smu.Lock()
	s.tickBy(now.Add(keeperStays))
	s.smu.Unlock()
}

func (k *keeper) nudge() {
	select {
	case k.kicked <- struct{}{}:
	default:
	}
}

// keep writes what is left to it, until that has not happened for a while or the
// session has ended.
func (s *Session) keep() {
	k := &s.keeper
	s.wmu.Lock()
	defer s.wmu.Unlock()
	for {
		switch {
		case k.handed:
			k.handed = false
			s.flush(-1)
		case s.dead || k.leaves:
			k.runs, k.leaves = false, false
			s.idle.Broadcast()
			return
		default:
			s.wmu.Unlock()
			select {
			case <-k.kicked:
			case <-s.done:
			}
			s.wmu.Lock()
		}
	}
}

// relieve lets a keeper go that had nothing to do since the last look. It reports
// whether to look again after keeperStays.
func (s *Session) relieve() (again bool) {
	k := &s.keeper
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if !k.runs || s.dead {
		return false
	}
	if again = k.kicks != k.seen; !again {
		k.leaves = true
		k.nudge()
	}
	k.seen = k.kicks
	return again
}
