package run_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

func untilCancelled(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// journal records what happened in which order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

func (j *journal) stop(name string) func(context.Context) error {
	return func(context.Context) error {
		j.add(name)
		return nil
	}
}

func TestPhasesStopInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		group := run.Group{Logger: testkit.Logger(t)}
		group.Add("store", run.StopStores, nil, j.stop("store"))
		group.Add("edge", run.StopAccepting, untilCancelled, j.stop("edge"))
		group.Add("drain", run.Drain, nil, j.stop("drain"))
		group.Add("health", run.NotReady, untilCancelled, j.stop("health"))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Minute, cancel)
		if err := group.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
		if want := []string{"health", "edge", "drain", "store"}; !slices.Equal(j.lines, want) {
			t.Errorf("stopped %v, want %v", j.lines, want)
		}
	})
}

func TestContextOutlivesEarlierPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := make(chan context.Context, 1)
		group := run.Group{}
		group.Add("store", run.StopStores, func(ctx context.Context) error {
			store <- ctx
			return untilCancelled(ctx)
		}, nil)
		group.Add("edge", run.Drain, untilCancelled, func(context.Context) error {
			if (<-store).Err() != nil {
				t.Error("the store's context ended before its phase")
			}
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := group.Run(ctx); err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func TestEarlyReturnIsFatal(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		start func(context.Context) error
		want  string
	}{
		"error": {func(context.Context) error { return boom }, "edge: boom"},
		"nil":   {func(context.Context) error { return nil }, "edge: it returned before"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var j journal
				group := run.Group{}
				group.Add("edge", run.StopAccepting, c.start, nil)
				group.Add("store", run.StopStores, untilCancelled, j.stop("store"))
				err := group.Run(t.Context())
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("Run = %v, want %q", err, c.want)
				}
				if !slices.Equal(j.lines, []string{"store"}) {
					t.Errorf("stopped %v, want the store too", j.lines)
				}
			})
		})
	}
}

func TestPhaseHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var j journal
		group := run.Group{Deadlines: map[run.Phase]time.Duration{run.Drain: 30 * time.Second}}
		group.Add("slow", run.Drain, untilCancelled, untilCancelled)
		group.Add("store", run.StopStores, nil, j.stop("store"))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		err := group.Run(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "stopping slow") {
			t.Errorf("Run = %v, want the deadline and the part's name", err)
		}
		if took := time.Since(start); took != 30*time.Second || len(j.lines) != 1 {
			t.Errorf("took %v and stopped %v, want 30s and the store", took, j.lines)
		}
	})
}

func TestStopErrorsAreReported(t *testing.T) {
	group := run.Group{}
	group.Add("store", run.StopStores, nil, func(context.Context) error { return errors.New("disk full") })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := group.Run(ctx); err == nil || err.Error() != "stopping store: disk full" {
		t.Errorf("Run = %v", err)
	}
}

func TestPhaseNames(t *testing.T) {
	for phase := run.NotReady; phase <= run.StopStores; phase++ {
		if strings.HasPrefix(phase.String(), "phase") {
			t.Errorf("phase %d has no name", int(phase))
		}
	}
}
