package run_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/postern-dev/postern/internal/run"
)

// Whoever calls while a round is under way shares the next with all others who do.
func TestRoundsAreShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rounds run.Rounds[int]
		begun, finish := 0, make(chan struct{})
		work := func() (int, error) {
			begun++
			mine := begun
			<-finish
			return mine, nil
		}
		var all sync.WaitGroup
		want := func(number int) {
			all.Go(func() {
				if got, err := rounds.Do(t.Context(), work); got != number || err != nil {
					t.Errorf("round %d, %v; want %d", got, err, number)
				}
			})
		}
		want(1)
		synctest.Wait()
		for range 50 {
			want(2)
		}
		synctest.Wait()
		if begun != 1 {
			t.Errorf("%d rounds at once", begun)
		}
		close(finish)
		all.Wait()
		want(3)
		all.Wait()
	})
}

// Who waits for another's work need not wait to its end, and is told of its failure.
func TestRoundsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var rounds run.Rounds[int]
		finish, broken := make(chan struct{}), errors.New("broken")
		fails := func() (int, error) { <-finish; return 7, broken }
		var all sync.WaitGroup
		for range 3 { // one under way, one that does the next, one that waits for it
			all.Go(func() {
				if got, err := rounds.Do(t.Context(), fails); got != 7 || !errors.Is(err, broken) {
					t.Errorf("%d, %v", got, err)
				}
			})
			synctest.Wait()
		}
		impatient, leave := context.WithCancelCause(t.Context())
		reason := errors.New("no time")
		leave(reason)
		if _, err := rounds.Do(impatient, fails); !errors.Is(err, reason) {
			t.Errorf("somebody without time got %v", err)
		}
		close(finish)
		all.Wait()

		func() {
			defer func() { _ = recover() }()
			_, _ = rounds.Do(t.Context(), func() (int, error) { panic("a mistake") })
		}()
		if got, err := rounds.Do(t.Context(), func() (int, error) { return 1, nil }); got != 1 || err != nil {
			t.Errorf("after a panic: %d, %v", got, err)
		}
	})
}
