package connector

import (
	"context"
	"sync"
)

// inFlight counts what is running. Unlike a sync.WaitGroup it may be waited for while new
// work starts, with a bound.
type inFlight struct {
	mu    sync.Mutex
	count int
	idle  chan struct{} // closed when count falls to 0; nil: nobody waits
}

func (f *inFlight) start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
}

func (f *inFlight) finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count--
	if f.count == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// wait returns 0 once nothing runs, or how much still does when ctx ends.
func (f *inFlight) wait(ctx context.Context) int {
	for {
		f.mu.Lock()
		if f.count == 0 {
			f.mu.Unlock()
			return 0
		}
		if f.idle == nil {
			f.idle = make(chan struct{})
		}
		idle, count := f.idle, f.count
		f.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return count
		}
	}
}
