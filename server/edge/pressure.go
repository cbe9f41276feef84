package edge

import (
	"cmp"
	"slices"
	"time"

	"github.com/postern-dev/postern"
)

// Pressure says how short of memory the process is.
type Pressure int32

// The levels of pressure. What each asks for, it asks for as long as it lasts.
const (
	PressureNone Pressure = iota
	// PressureHigh refuses new connections; those that are open go on.
	PressureHigh
	// PressureCritical also cuts those who make us hold what they do not take, at
	// every Relieve.
	PressureCritical
)

// SetPressure is told of every change by who watches the memory.
func (e *Edge) SetPressure(p Pressure) { e.pressure.Store(int32(p)) }

// Pressure is what SetPressure was last told.
func (e *Edge) Pressure() Pressure { return Pressure(e.pressure.Load()) }

const (
	// relieveAfter is how long somebody may keep us waiting at the worst of times.
	relieveAfter = time.Second
	// relieveShare is which part of those who do is cut at once, but leastRelieved at
	// least: memory comes back with the next collection only, and we would cut more
	// than we must.
	relieveShare  = 4
	leastRelieved = 16
)

// Relieve cuts some of the visitors who keep us waiting to take what is sent to them,
// those who do so longest first, and tells how many. What is held for them, here and
// in the link's windows, is most of what visitors can make a server hold.
func (e *Edge) Relieve() int {
	type waiting struct {
		visitor *visitor
		since   time.Duration
	}
	var all []waiting
	e.mu.Lock()
	for v := range e.visitors {
		if waits := v.keepsWaiting(); waits >= relieveAfter {
			all = append(all, waiting{v, waits})
		}
	}
	e.mu.Unlock()
	slices.SortFunc(all, func(a, b waiting) int { return cmp.Compare(b.since, a.since) })
	all = all[:min(len(all), max(leastRelieved, len(all)/relieveShare))]
	for _, one := range all {
		e.metrics.rejected(rejectWaiting)
		one.visitor.abort(&postern.Error{Code: postern.CodeMemoryShort})
	}
	return len(all)
}

// keepsWaiting is how long we have been waiting for the visitor to take something: on
// its connection, or on the slowest of its streams.
func (v *visitor) keepsWaiting() time.Duration {
	longest := v.writes.pending()
	v.mu.Lock()
	defer v.mu.Unlock()
	for s := range v.stalls {
		longest = max(longest, s.pending())
	}
	return longest
}

// addStall has keepsWaiting look at s too, until dropStall.
func (v *visitor) addStall(s *stall) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stalls == nil {
		v.stalls = make(map[*stall]struct{})
	}
	v.stalls[s] = struct{}{}
}

func (v *visitor) dropStall(s *stall) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.stalls, s)
}
