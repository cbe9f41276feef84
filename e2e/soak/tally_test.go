package soak_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// tally counts how visits ended.
type tally struct {
	started  time.Time
	inFlight atomic.Int64

	mu       sync.Mutex
	kinds    map[string]*count
	failures []string // of the first ones
}

// count is of one kind of visit. Good are answers as asked for; foreseen are the
// failures that a fault which the test made must have; failed is everything else.
type count struct {
	good, foreseen, failed, held int
	longest                      time.Duration
}

const mostFailures = 30

func newTally() *tally { return &tally{started: time.Now(), kinds: map[string]*count{}} }

// foreseen wraps the failure of a visit that a fault of the test's own explains.
type foreseen struct{ error }

func (f foreseen) Unwrap() error { return f.error }

// run makes one visit and counts its end.
func (t *tally) run(kind string, visit func() error) {
	t.inFlight.Add(1)
	defer t.inFlight.Add(-1)
	began := time.Now()
	err := visit()
	took := time.Since(began)
	t.add(kind, count{longest: took})
	var excused foreseen
	switch {
	case err == nil:
		t.add(kind, count{good: 1})
	case errors.As(err, &excused):
		t.add(kind, count{foreseen: 1})
	default:
		t.fail(kind, fmt.Errorf("after %v: %w", took.Round(time.Millisecond), err))
	}
}

// fail counts a failure that nothing explains.
func (t *tally) fail(kind string, err error) {
	t.add(kind, count{failed: 1})
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.failures) < mostFailures {
		t.failures = append(t.failures, fmt.Sprintf("%8v %s: %v", time.Since(t.started).Round(time.Millisecond), kind, err))
	}
}

func (t *tally) add(kind string, more count) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.kinds[kind]
	if c == nil {
		c = &count{}
		t.kinds[kind] = c
	}
	c.good += more.good
	c.foreseen += more.foreseen
	c.failed += more.failed
	c.held += more.held
	c.longest = max(c.longest, more.longest)
}

// total sums all kinds.
func (t *tally) total() (sum count) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.kinds {
		sum.good += c.good
		sum.foreseen += c.foreseen
		sum.failed += c.failed
		sum.held += c.held
	}
	return sum
}

func (t *tally) of(kind string) count {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.kinds[kind]; c != nil {
		return *c
	}
	return count{}
}

// String is the table of all kinds and the details of the first failures.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "%-22s %10s %10s %8s %8s %10s\n", "visits", "good", "foreseen", "failed", "held", "longest")
	for _, kind := range slices.Sorted(maps.Keys(t.kinds)) {
		c := t.kinds[kind]
		fmt.Fprintf(&b, "%-22s %10d %10d %8d %8d %10v\n", kind, c.good, c.foreseen, c.failed, c.held, c.longest.Round(time.Millisecond))
	}
	for _, failure := range t.failures {
		fmt.Fprintln(&b, failure)
	}
	return b.String()
}
