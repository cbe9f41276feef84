package gateway

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// Somebody's patience ends as a context.WithTimeout does, whether it is waited for or looked at.
func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("stopped")
		for name, c := range map[string]struct {
			parent func() (context.Context, context.CancelCauseFunc)
			stop   bool
			after  time.Duration
			err    error
		}{
			"its time":   {func() (context.Context, context.CancelCauseFunc) { return context.WithCancelCause(t.Context()) }, false, time.Minute, context.DeadlineExceeded},
			"its parent": {func() (context.Context, context.CancelCauseFunc) { return context.WithCancelCause(t.Context()) }, true, 0, context.Canceled},
			"an earlier one": {func() (context.Context, context.CancelCauseFunc) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				return ctx, func(error) { cancel() }
			}, false, time.Second, context.DeadlineExceeded},
		} {
			for _, waits := range []bool{false, true} {
				parent, cancel := c.parent()
				began := time.Now()
				p := within(parent, time.Minute)
				if until, ok := p.Deadline(); !ok || p.Err() != nil || c.after > 0 && until.Sub(began) != c.after {
					t.Errorf("%s: %v, %v, %v", name, until, ok, p.Err())
				}
				if c.stop {
					cancel(why)
				}
				if waits {
					<-p.Done()
				} else {
					time.Sleep(c.after)
				}
				if err := p.Err(); !errors.Is(err, c.err) || time.Since(began) != c.after {
					t.Errorf("%s: %v after %s", name, err, time.Since(began))
				}
				if c.stop && context.Cause(p) != why {
					t.Errorf("%s: the cause is %v", name, context.Cause(p))
				}
				p.end()
				cancel(nil)
			}
		}
	})
}
