package service

import (
	"context"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// seriesReads lets those who look a series up at the same moment share one look-up. A
// fleet that shares a credential and names no endpoints has one series: if each of its
// agents read all rows of it, the price of a fleet that comes back would grow with the
// square of its size.
type seriesReads struct {
	mu     sync.Mutex
	groups map[seriesIn]*seriesGroup
}

// seriesIn is a series below one domain.
type seriesIn struct {
	key    seriesKey
	domain postern.Hostname
}

// seriesGroup is those who want one series.
type seriesGroup struct {
	users int
	next  *seriesRead   // not begun yet: more may join
	turn  chan struct{} // holds an element while one is read
}

// seriesRead is one look-up. Its names must not be changed.
type seriesRead struct {
	done  chan struct{} // closed when the rest is set
	names map[int]store.Name
	err   error
}

// share returns what a look-up finds that begins after the call. look may be another
// caller's; its context must not end with this caller's.
func (r *seriesReads) share(ctx context.Context, in seriesIn, look func() (map[int]store.Name, error)) (map[int]store.Name, error) {
	group, read, first := r.join(in)
	defer r.leave(in, group)
	if first {
		group.turn <- struct{}{}
		r.mu.Lock()
		group.next = nil // who comes from now on may have written too late for this one
		r.mu.Unlock()
		defer func() { <-group.turn }()
		defer close(read.done)
		read.err = postern.Errorf(postern.CodeInternal, "the look-up of a series failed inside") // unless look returns
		read.names, read.err = look()
		return read.names, read.err
	}
	select {
	case <-read.done:
		return read.names, read.err
	case <-ctx.Done():
		return nil, postern.Errorf(postern.CodeStoreUnavailable, "the store is busy").Because(ctx.Err())
	}
}

// join finds the look-up that begins next; first is whoever has to do it.
func (r *seriesReads) join(in seriesIn) (group *seriesGroup, read *seriesRead, first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	group = r.groups[in]
	if group == nil {
		group = &seriesGroup{turn: make(chan struct{}, 1)}
		if r.groups == nil {
			r.groups = make(map[seriesIn]*seriesGroup)
		}
		r.groups[in] = group
	}
	group.users++
	if group.next == nil {
		group.next, first = &seriesRead{done: make(chan struct{})}, true
	}
	return group, group.next, first
}

func (r *seriesReads) leave(in seriesIn, group *seriesGroup) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if group.users--; group.users == 0 {
		delete(r.groups, in)
	}
}
