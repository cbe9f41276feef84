package run

import (
	"context"
	"sync"
)

// InFlight counts what is running. Unlike a sync.WaitGroup it may be waited for while new
// work starts, with a bound. The zero value is ready; methods may be called from anywhere.
type InFlight struct {
	mu    sync.Mutex
	count int
	idle  chan struct{} // closed when count falls to 0; nil: nobody waits
}

// Start counts one more.
func (f *InFlight) Start() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
}

// Finish counts one less.
func (f *InFlight) Finish() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count--
	if f.count == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// Count is how much runs now.
func (f *InFlight) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.count
}

// Wait blocks until nothing runs and returns 0, or how much still does when ctx ends.
func (f *InFlight) Wait(ctx context.Context) int {
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
