package memory

import (
	"os"
	"runtime/debug"
)

// How seldom a small heap is collected while garbage comes fast. By itself the runtime
// collects one of 4 MiB whenever 4 MiB have been allocated: at 300 MB/s of SSH packets, each
// of which is a buffer of its own, that is a seventh of all processor time.
const (
	// leastGarbage is how much may come between two collections then.
	leastGarbage = 16 << 20
	// So many collections between two looks are many, and so many are few.
	manyCollections, fewCollections = 10, 2
	// usualPercent is the runtime's own GOGC.
	usualPercent = 100
	// leastLive bounds what is asked of the runtime where next to nothing lives.
	leastLive = 1 << 20
)

// pace decides the runtime's GOGC at each look. The zero value leaves it alone.
type pace struct {
	percent int // the usual one; 0 where the operator has set GOGC
	now     int
	cycles  uint64
}

// newPace sets nothing yet.
func newPace() *pace {
	if os.Getenv("GOGC") != "" {
		return new(pace)
	}
	return &pace{percent: usualPercent, now: usualPercent}
}

// look takes in how many collections there have been ever, and how many bytes lived at the
// last, and tells the percentage that is to be set; 0: as it is.
func (p *pace) look(cycles, live uint64) int {
	since := cycles - p.cycles
	p.cycles = cycles
	want := p.now
	switch {
	case p.percent == 0:
		return 0
	case since >= manyCollections:
		want = max(p.percent, int(leastGarbage*100/max(live, leastLive)))
	case since <= fewCollections:
		want = p.percent
	}
	if apart := want - p.now; want != p.percent && apart*apart <= (p.now/4)*(p.now/4) {
		return 0 // near enough: to change it stops the world
	}
	if want == p.now {
		return 0
	}
	p.now = want
	return want
}

// set changes the runtime's GOGC; 0 leaves it.
func (p *pace) set(percent int) {
	if percent > 0 {
		debug.SetGCPercent(percent)
	}
}
