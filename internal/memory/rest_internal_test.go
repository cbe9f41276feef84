package memory

import (
	"testing"
	"time"
)

// Memory is returned once after a burst, when hardly anything is allocated any more, and
// seldom enough.
func TestMemoryIsReturnedAtRest(t *testing.T) {
	const mib = 1 << 20
	var r rest
	start := time.Unix(1000, 0)
	var at time.Duration
	look := func(h heap) bool {
		at += lookForRest
		return r.due(h, start.Add(at))
	}
	for i, step := range []struct {
		now  heap
		want bool
		what string
	}{
		{heap{allocated: 10 * mib, live: 4 * mib, objects: 9 * mib}, false, "the first look knows nothing"},
		{heap{allocated: 20 * mib, live: 4 * mib, objects: 9 * mib}, false, "much is allocated"},
		{heap{allocated: 20 * mib, live: 4 * mib, objects: 9 * mib}, false, "one look at rest"},
		{heap{allocated: 20*mib + restAllocations, live: 4 * mib, objects: 9 * mib}, true, "at rest"},
	} {
		if got := look(step.now); got != step.want {
			t.Fatalf("step %d, %s: %v", i, step.what, got)
		}
	}
	took := 10 * time.Millisecond
	r.returned(start.Add(at), start.Add(at+took))
	again := heap{allocated: 25 * mib, live: 4 * mib, objects: 9 * mib}
	for look(again) == false {
		if at > time.Minute {
			t.Fatal("never again")
		}
	}
	if since := at - 2*time.Second; since < returnRest*took {
		t.Errorf("again %s after a collection of %s", since, took)
	}
}

func TestLittleIsNotReturned(t *testing.T) {
	const mib = 1 << 20
	for name, test := range map[string]struct {
		heap heap
		want bool
	}{
		"nothing":                {heap{live: 4 * mib, objects: 4 * mib}, false},
		"before the first sweep": {heap{live: 4 * mib, objects: 1 * mib}, false},
		"little garbage":         {heap{live: 1 * mib, objects: 1*mib + leastReturn - 1}, false},
		"garbage":                {heap{live: 1 * mib, objects: 1*mib + leastReturn}, true},
		"free pages":             {heap{live: 1 * mib, objects: 1 * mib, free: leastReturn}, true},
		"little beside the rest": {heap{live: 80 * mib, objects: 85 * mib, free: 4 * mib}, false},
		"much beside the rest":   {heap{live: 80 * mib, objects: 86 * mib, free: 4 * mib}, true},
	} {
		var r rest
		r.looks = restLooks - 1
		if got := r.due(test.heap, time.Unix(1000, 0)); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// What the runtime is asked for exists and makes sense.
func TestHeapIsRead(t *testing.T) {
	var r rest
	h := readHeap(r.samples[:])
	if h.allocated == 0 || h.objects == 0 || h.objects > h.allocated {
		t.Errorf("read %+v", h)
	}
	if n := testing.AllocsPerRun(100, func() { readHeap(r.samples[:]) }); n > 0 {
		t.Errorf("a look allocates %v times", n)
	}
}

func BenchmarkLookForRest(b *testing.B) {
	var r rest
	b.ReportAllocs()
	for b.Loop() {
		r.due(readHeap(r.samples[:]), time.Now())
	}
}
