package mux

import "time"

// keeperStays is how long the session's writing goroutine waits for more to do. An
// idle session, which answers a ping now and then, is spared its stack.
const keeperStays = 500 * time.Millisecond

// keeper is the session's writing goroutine, which writes what nobody else is there
// to write. It exists while there is something of that kind. Guarded by wmu.
type keeper struct {
	runs   bool
	handed bool          // the output's busy mark is for it
	leaves bool          // it is to end, unless it has something to do
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
	s.smu.Lock()
	s.tickBy(time.Now().Add(keeperStays))
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
