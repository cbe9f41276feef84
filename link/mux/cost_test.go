package mux_test

import (
	"io"
	"runtime"
	"testing"

	"github.com/postern-dev/postern/link/mux"
)

// heap is the memory in use after the collector has been over it.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // sync.Pool lets go with the second
	runtime.ReadMemStats(&m)
	return m.HeapInuse
}

// B5-26: an idle stream holds no buffer; both its ends together stay below 2 KiB.
func TestIdleStreamsAreSmall(t *testing.T) {
	const streams = 4000
	client, server := pair(t, mux.Config{AcceptBacklog: 16})
	keep := make([]*mux.Stream, 0, 2*streams)
	before := heap()
	for range streams {
		near, far := opened(t, client, server)
		if _, err := near.Write([]byte("some bytes")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(far, make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		keep = append(keep, near, far)
	}
	each := int64(heap()-before) / int64(len(keep))
	t.Logf("%d bytes a stream's end", each)
	if each > 1024 {
		t.Errorf("an idle stream's end takes %d bytes", each)
	}
	runtime.KeepAlive(keep)
}

// An open costs an allocation for the stream at each end and little else.
func TestOpenAllocatesLittle(t *testing.T) {
	client, server := pair(t, mux.Config{})
	one := make([]byte, 1)
	allocs := testing.AllocsPerRun(200, func() {
		near, far := opened(t, client, server)
		_, _ = near.Write(one)
		_, _ = io.ReadFull(far, one)
		_ = near.Close()
		_ = far.Close()
	})
	if allocs > 4 { // both ends: 2 an end
		t.Errorf("%.1f allocations for an open, a byte and two closes", allocs)
	}
}
