package breaker

import (
	"sync"
	"time"
)

// trials is how many requests pass a Breaker that is half open until it has decided.
const trials = 3

// Breaker decides whether requests pass. It may be used concurrently, and holds nothing
// that needs closing.
type Breaker struct {
	settings Settings

	mu    sync.Mutex
	state State
	// term is counted up with each change of state: what began in another term is not
	// counted any more.
	term  uint64
	until time.Time // open: when trials begin; half open: when other trials begin
	out   int       // half open: trials that were let through
	well  int       // and that went well
	seen  outcomes
}

// State is what a Breaker does.
type State uint8

// The states.
const (
	Closed   State = iota // everything passes
	Open                  // nothing passes
	HalfOpen              // a few requests pass
)

// Pass is a request that a Breaker let through.
type Pass struct{ term uint64 }

// New makes a Breaker that is closed. Its error is a sentence about the settings.
func New(settings Settings) (*Breaker, error) {
	if err := settings.check(); err != nil {
		return nil, err
	}
	return &Breaker{settings: settings}, nil
}

// State tells what the Breaker does. One that would let trials through is HalfOpen.
func (b *Breaker) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Open && !time.Now().Before(b.until) {
		return HalfOpen
	}
	return b.state
}

// Enter asks whether a request may pass. If ok, Leave is told how it ended, or Abandon; a trial that
// nobody hears of again is given up after the time for which the Breaker stays open.
// Otherwise retryAfter is when to ask again.
func (b *Breaker) Enter() (p Pass, ok bool, retryAfter time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Closed {
		return Pass{b.term}, true, 0
	}
	now := time.Now()
	if !now.Before(b.until) {
		b.become(HalfOpen, now)
	}
	if b.state == HalfOpen && b.out < trials {
		b.out++
		return Pass{b.term}, true, 0
	}
	return Pass{}, false, b.until.Sub(now)
}

// Leave tells how a request ended that Enter let through, once.
func (b *Breaker) Leave(p Pass, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.term != b.term {
		return
	}
	now := time.Now()
	switch {
	case b.state == Closed:
		if b.seen.add(now, b.settings.Window, failed); b.broken(failed) {
			b.become(Open, now)
		}
	case failed:
		b.become(Open, now)
	default:
		if b.well++; b.well == trials {
			b.become(Closed, now)
		}
	}
}

// Abandon gives back a request that Enter let through and of which nothing can be said:
// it does not count, and another may be the trial instead.
func (b *Breaker) Abandon(p Pass) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.term == b.term && b.state == HalfOpen {
		b.out--
	}
}

// broken tells whether what was seen is enough to open. Only a failure opens.
func (b *Breaker) broken(failed bool) bool {
	all, bad := b.seen.count()
	return failed && all >= b.settings.Volume && float64(bad) >= b.settings.Threshold*float64(all)
}

// become begins a state anew. mu is held.
func (b *Breaker) become(next State, now time.Time) {
	b.state, b.out, b.well, b.seen = next, 0, 0, outcomes{}
	b.term++
	b.until = now.Add(b.settings.Tripped)
}
