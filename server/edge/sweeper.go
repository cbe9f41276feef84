package edge

import (
	"sync"
	"time"
)

// sweepEvery is how soon it is noticed that a service has closed an idle connection.
const sweepEvery = time.Second

// sweeper looks after the pairs of all members once a second, while any wait. A timer
// for each member would start as many goroutines in the same moments as there are
// members, and the runtime keeps their stacks.
type sweeper struct {
	mu      sync.Mutex
	waiting []*pairs // each once, while its known is set
	spare   []*pairs // the array of the next waiting
	timer   *time.Timer
	running bool // the timer, or a sweep
	stopped bool
}

// add has p swept until none of its pairs is left. p.mu is held.
func (s *sweeper) add(p *pairs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, p)
	s.arm()
}

// arm starts the timer where it is needed. mu is held.
func (s *sweeper) arm() {
	if s.running || s.stopped || len(s.waiting) == 0 {
		return
	}
	s.running = true
	if s.timer == nil {
		s.timer = time.AfterFunc(sweepEvery, s.sweep)
	} else {
		s.timer.Reset(sweepEvery)
	}
}

func (s *sweeper) sweep() {
	s.mu.Lock()
	all := s.waiting
	s.waiting = s.spare[:0]
	s.mu.Unlock()
	now := time.Now()
	left := all[:0]
	for _, p := range all {
		if p.sweep(now) {
			left = append(left, p)
		}
	}
	clear(all[len(left):])
	s.mu.Lock()
	defer s.mu.Unlock()
	came := s.waiting
	s.waiting = append(left, came...)
	clear(came)
	s.spare = came
	s.running = false
	s.arm()
}

// stop ends the sweeping; whoever has pairs closes them.
func (s *sweeper) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.timer != nil {
		s.timer.Stop()
	}
}
