package edge

import (
	"context"
	"sync"
	"time"
)

// askedContext is an exchange's context, which is made when somebody asks for it: few
// rules wait for anything, and to watch the visitor meanwhile costs more than they do.
type askedContext struct {
	mu  sync.Mutex
	x   *Exchange // nil once the exchange is over
	ctx context.Context
}

func (a *askedContext) made() context.Context {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.ctx != nil:
	case a.x != nil:
		a.ctx = a.x.Context()
	default:
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		a.ctx = ctx
	}
	return a.ctx
}

// end has who asks from now on find that the exchange is over.
func (a *askedContext) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.x = nil
}

// Deadline implements context.Context.
func (a *askedContext) Deadline() (time.Time, bool) { return a.made().Deadline() }

// Done implements context.Context.
func (a *askedContext) Done() <-chan struct{} { return a.made().Done() }

// Err implements context.Context.
func (a *askedContext) Err() error { return a.made().Err() }

// Value implements context.Context.
func (a *askedContext) Value(key any) any { return a.made().Value(key) }

var _ context.Context = (*askedContext)(nil)
