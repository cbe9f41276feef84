package sshr

import (
	"context"
	"sync"
	"time"
)

// choice is what a client's command says of its forwards. ssh asks for the forwards first
// and says what to run afterwards, so they wait for it, for a moment.
type choice struct {
	opened  chan struct{} // closed when the client has opened a session channel
	chosen  chan struct{} // closed when it is known what the command is
	options Options       // valid once chosen is closed
	open    func()
	once    *sync.Once
}

func newChoice() choice {
	opened := make(chan struct{})
	return choice{opened: opened, chosen: make(chan struct{}), open: sync.OnceFunc(func() { close(opened) }), once: new(sync.Once)}
}

// choose settles what the command is; only the first counts.
func (c *choice) choose(o Options) {
	c.once.Do(func() {
		c.options = o
		close(c.chosen)
	})
}

// await returns the command's options. Who has not said one in time, has none.
func (c *choice) await(ctx context.Context) Options {
	if !within(ctx, sessionGrace, c.opened, c.chosen) || !within(ctx, commandGrace, c.chosen, nil) {
		c.choose(Options{})
	}
	<-c.chosen
	return c.options
}

// within tells whether one of two things happened in time.
func within(ctx context.Context, d time.Duration, one, other <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-one:
	case <-other:
	case <-timer.C:
		return false
	case <-ctx.Done():
		return false
	}
	return true
}
