//go:build !race

package mux_test

// The race detector has sync.Pool drop what it holds, at random.

import (
	"io"
	"testing"

	"github.com/postern-dev/postern/link/mux"
)

// A message on an open stream, there and back, allocates nothing, small or large.
func TestTrafficAllocatesNothing(t *testing.T) {
	client, server := pair(t, mux.Config{})
	near, far := opened(t, client, server)
	for _, size := range []int{64, 64 << 10} {
		out, in := make([]byte, size), make([]byte, size)
		allocs := testing.AllocsPerRun(300, func() {
			_, _ = near.Write(out)
			_, _ = io.ReadFull(far, in)
			_, _ = far.Write(in)
			_, _ = io.ReadFull(near, out)
		})
		if allocs != 0 {
			t.Errorf("%d bytes there and back: %.0f allocations", size, allocs)
		}
	}
}
