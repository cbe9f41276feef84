package api

import (
	"context"
	"runtime"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
)

// turns keeps filters from being all that the database does: of each account one list is
// filtered at a time, and of all together half as many as there are processors, which is
// at most half of the store's readers.
type turns struct {
	accounts run.Keyed[postern.AccountID, chan struct{}]
	all      chan struct{}
}

func newTurns() *turns { return &turns{all: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))} }

// wait takes a turn, which the caller must leave.
func (t *turns) wait(ctx context.Context, account postern.AccountID) (leave func(), err error) {
	own, forget := t.accounts.Use(account, func(turn *chan struct{}) { *turn = make(chan struct{}, 1) })
	turn := *own
	if err := enter(ctx, turn); err != nil {
		forget()
		return nil, err
	}
	if err := enter(ctx, t.all); err != nil {
		<-turn
		forget()
		return nil, err
	}
	return func() {
		<-t.all
		<-turn
		forget()
	}, nil
}

func enter(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return postern.Errorf(postern.CodeTooManyAtOnce, "other lists are being filtered").Because(ctx.Err())
	}
}
