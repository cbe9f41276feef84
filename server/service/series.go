package service

import (
	"context"
	"errors"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
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

// seriesGroup is those who want one series. The names that they share must not be
// changed.
type seriesGroup struct {
	users int
	reads run.Rounds[map[int]store.Name]
}

// share returns what a look-up finds that begins after the call. look may be another
// caller's; its context must not end with this caller's.
func (r *seriesReads) share(ctx context.Context, in seriesIn, look func() (map[int]store.Name, error)) (map[int]store.Name, error) {
	group := r.join(in)
	defer r.leave(in, group)
	names, err := group.reads.Do(ctx, look)
	if why := context.Cause(ctx); why != nil && errors.Is(err, why) {
		err = postern.Errorf(postern.CodeStoreUnavailable, "the store is busy").Because(why)
	}
	return names, err
}

func (r *seriesReads) join(in seriesIn) *seriesGroup {
	r.mu.Lock()
	defer r.mu.Unlock()
	group := r.groups[in]
	if group == nil {
		group = new(seriesGroup)
		if r.groups == nil {
			r.groups = make(map[seriesIn]*seriesGroup)
		}
		r.groups[in] = group
	}
	group.users++
	return group
}

func (r *seriesReads) leave(in seriesIn, group *seriesGroup) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if group.users--; group.users == 0 {
		delete(r.groups, in)
	}
}
