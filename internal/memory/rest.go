package memory

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// When a process that has come to rest gives memory back to the system.
const (
	// lookForRest is how often it is looked whether the server rests; a look costs
	// microseconds.
	lookForRest = 500 * time.Millisecond
	// restLooks in a row must find that hardly anything is allocated.
	restLooks = 2
	// restAllocations is what a process at rest may allocate between two looks: answers
	// to a few heartbeats, probes and scrapes.
	restAllocations = 64 << 10
	// leastReturn is the least that is worth a collection, and leastReturnShare the part
	// of the heap that lives.
	leastReturn, leastReturnShare = 512 << 10, 8
	// returnRest is how many times as long as a collection took none follows.
	returnRest = 200
)

// Tend looks after the process's memory until ctx ends.
//
// It gives back what a burst has left, once the process rests: garbage, free pages, and
// stacks that have grown. The runtime by itself collects when the heap has doubled, of a
// heap below 4 MiB never, or after two minutes, and keeps a part of what is free. Work that
// allocates nothing may be under way meanwhile: it loses a two-hundredth of one processor's
// time at most.
//
// And it has a small heap collected less often while garbage comes fast, unless GOGC is
// set: 16 MiB more are then needed at most.
func Tend(ctx context.Context) {
	tick := time.NewTicker(lookForRest)
	defer tick.Stop()
	var rest rest
	pace := newPace()
	defer func() { pace.set(pace.percent) }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			heap := readHeap(rest.samples[:])
			pace.set(pace.look(heap.cycles, heap.live))
			if !rest.due(heap, time.Now()) {
				continue
			}
			start := time.Now()
			debug.FreeOSMemory()
			rest.returned(start, time.Now())
		}
	}
}

// heap is what the runtime says of it, in bytes.
type heap struct {
	allocated uint64 // ever
	live      uint64 // at the last collection
	objects   uint64 // live, garbage, and what came since
	free      uint64 // of the system's, without an object
	cycles    uint64 // collections ever
}

// rest finds the moments at which memory is to be returned.
type rest struct {
	samples   [5]metrics.Sample
	allocated uint64
	looks     int // in a row that found rest
	next      time.Time
}

// due takes in what one look has found.
func (r *rest) due(h heap, now time.Time) bool {
	r.looks++
	if h.allocated-r.allocated > restAllocations {
		r.looks = 0
	}
	r.allocated = h.allocated
	if r.looks < restLooks || now.Before(r.next) {
		return false
	}
	garbage := h.free
	if h.objects > h.live {
		garbage += h.objects - h.live
	}
	return garbage >= max(leastReturn, h.live/leastReturnShare)
}

// returned notes when memory was returned.
func (r *rest) returned(from, to time.Time) {
	r.next = to.Add(returnRest * to.Sub(from))
	r.looks = 0
}

// readHeap asks the runtime.
func readHeap(samples []metrics.Sample) heap {
	for i, name := range []string{"/gc/heap/allocs:bytes", "/gc/heap/live:bytes",
		"/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes",
		"/gc/cycles/total:gc-cycles"} {
		samples[i].Name = name
	}
	metrics.Read(samples)
	value := func(i int) uint64 { return samples[i].Value.Uint64() }
	return heap{allocated: value(0), live: value(1), objects: value(2), free: value(3), cycles: value(4)}
}
