package run

import (
	"context"
	"errors"
	"sync"
)

// Rounds lets callers share work whose result is good for all who asked before it
// began. However many call at once, at most two rounds are done: the one under way,
// which may have begun too early for them, and the next, for them all. The zero value is
// ready; all methods may be called from anywhere at once.
type Rounds[T any] struct {
	mu   sync.Mutex
	turn chan struct{} // holds an element while a round is done
	next *round[T]     // not begun yet: more may join; nil while nobody waits
}

// round is one piece of work and those who wait for it.
type round[T any] struct {
	done   chan struct{} // closed when the rest is set
	result T             // shared: nobody may change it
	err    error
}

var errRoundFailed = errors.New("the work that was shared has panicked")

// Do returns what a round gives that begins after the call. work may be another
// caller's, and ctx is not for it: where ctx ends first for somebody who waits for
// another, the error is the context's cause, and the round goes on. Whoever does the work
// himself, waits for it.
func (r *Rounds[T]) Do(ctx context.Context, work func() (T, error)) (T, error) {
	turn, own, first := r.join()
	if first {
		turn <- struct{}{}
		r.begin()
		defer func() { <-turn }()
		defer close(own.done)
		own.err = errRoundFailed // unless work returns
		own.result, own.err = work()
		return own.result, own.err
	}
	select {
	case <-own.done:
		return own.result, own.err
	case <-ctx.Done():
		var none T
		return none, context.Cause(ctx)
	}
}

// join finds the round that begins next; first is whoever has to do it.
func (r *Rounds[T]) join() (turn chan struct{}, next *round[T], first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.turn == nil {
		r.turn = make(chan struct{}, 1)
	}
	if r.next == nil {
		r.next, first = &round[T]{done: make(chan struct{})}, true
	}
	return r.turn, r.next, first
}

// begin closes the round that waits: who comes from now on may come too late for it.
func (r *Rounds[T]) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next = nil
}
