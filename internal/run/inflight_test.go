package run_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/internal/run"
)

// Who waits is told when nothing runs, or how much does when his time is up; work may
// begin meanwhile.
func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f run.InFlight
		if left := f.Wait(t.Context()); left != 0 {
			t.Errorf("%d are left of none", left)
		}
		f.Start()
		f.Start()
		bounded, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if left := f.Wait(bounded); left != 2 {
			t.Errorf("%d are left at the end of the time, want 2", left)
		}
		done := make(chan int)
		go func() { done <- f.Wait(t.Context()) }()
		synctest.Wait()
		f.Start()
		for range 3 {
			f.Finish()
		}
		if left := <-done; left != 0 {
			t.Errorf("%d are left", left)
		}
	})
}
