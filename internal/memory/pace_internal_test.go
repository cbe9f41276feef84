package memory

import (
	"runtime/debug"
	"testing"
)

// Collections become rarer only where they are many and the heap is small, and as they were
// once that is over.
func TestPace(t *testing.T) {
	const mib = 1 << 20
	t.Setenv("GOGC", "")
	p := newPace()
	cycles := uint64(3)
	p.look(cycles, 4*mib)
	for i, step := range []struct {
		since, live uint64
		want        int
	}{
		{fewCollections, 4 * mib, 0},
		{manyCollections - 1, 4 * mib, 0},
		{manyCollections, 4 * mib, 400},
		{manyCollections, 4*mib + mib/2, 0}, // near enough
		{manyCollections, 8 * mib, 200},
		{manyCollections - 1, 8 * mib, 0}, // as long as it lasts
		{manyCollections, 40 * mib, 100},
		{manyCollections, 0, 1600},
		{fewCollections, 4 * mib, 100},
		{0, 4 * mib, 0},
	} {
		cycles += step.since
		if got := p.look(cycles, step.live); got != step.want {
			t.Errorf("step %d: %d collections, %d MiB live: %d, not %d", i, step.since, step.live/mib, got, step.want)
		}
	}
}

func TestPaceLeavesTheOperatorsChoice(t *testing.T) {
	t.Setenv("GOGC", "50")
	p := newPace()
	if got := p.look(1000, 1<<20); got != 0 {
		t.Errorf("GOGC is set, and becomes %d", got)
	}
}

// The runtime does as it is told.
func TestPaceIsSet(t *testing.T) {
	t.Setenv("GOGC", "")
	p := newPace()
	before := debug.SetGCPercent(p.percent)
	defer debug.SetGCPercent(before)
	p.set(p.look(1000, 1<<20))
	p.set(0)
	if set := debug.SetGCPercent(usualPercent); set != 1600 {
		t.Errorf("GOGC is %d, not 1600", set)
	}
}
