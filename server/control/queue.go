package control

import (
	"context"
	"sync/atomic"

	"github.com/postern-dev/postern"
)

// queued bounds how many agents wait for their turn.
const queued = 16 << 10

// queue lets a bounded number of agents be busy with the store at once, so that
// thousands that come back together cannot take the CPU from visitors. They wait here,
// for as long as their requests may last, and not in the store, whose shorter patience
// then measures the store alone.
type queue struct {
	slots   chan struct{}
	waiting atomic.Int64
}

func newQueue(atOnce int) *queue { return &queue{slots: make(chan struct{}, max(atOnce, 1))} }

// enter waits for a slot; leave gives it back. It fails with CodeServerBusy when
// the queue is full or ctx ends first.
func (q *queue) enter(ctx context.Context) (leave func(), err error) {
	defer q.waiting.Add(-1)
	if q.waiting.Add(1) > queued {
		return nil, postern.Errorf(postern.CodeServerBusy, "too many agents are connecting at once; try again in a few seconds")
	}
	select {
	case q.slots <- struct{}{}:
		return func() { <-q.slots }, nil
	case <-ctx.Done():
		return nil, postern.Errorf(postern.CodeServerBusy, "the server was too busy to serve the agent in time").Because(ctx.Err())
	}
}
