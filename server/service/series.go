package service

import (
	"context"
	"errors"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/server/store"
)

// seriesReads lets those who look a series up at the same moment share one look-up. A
// fleet that shares a credential and names no endpoints has one series: if each of its
// agents read all rows of it, the price of a fleet that comes back would grow with the
// square of its size.
type seriesReads struct {
	groups run.Keyed[seriesIn, run.Rounds[map[int]store.Name]]
}

// seriesIn is a series below one domain.
type seriesIn struct {
	key    seriesKey
	domain postern.Hostname
}

// share returns what a look-up finds that begins after the call. look may be another
// caller's; its context must not end with this caller's. The names are shared and must not
// be changed.
func (r *seriesReads) share(ctx context.Context, in seriesIn, look func() (map[int]store.Name, error)) (map[int]store.Name, error) {
	group, leave := r.groups.Use(in, nil)
	defer leave()
	names, err := group.Do(ctx, look)
	if why := context.Cause(ctx); why != nil && errors.Is(err, why) {
		err = postern.Errorf(postern.CodeStoreUnavailable, "the store is busy").Because(why)
	}
	return names, err
}
