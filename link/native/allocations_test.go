//go:build !race

package native_test

// The race detector has sync.Pool drop what it holds, at random.

import (
	"io"
	"testing"
)

// A message on a session of one carrier allocates nothing, there and back. (crypto/tls
// allocates for each record that it reads.)
func TestTrafficAllocatesNothing(t *testing.T) {
	server, agent, closeAll := over(t, false, false)
	defer closeAll()
	for _, size := range []int{64, 16 << 10} {
		out, in := make([]byte, size), make([]byte, size)
		allocs := testing.AllocsPerRun(300, func() {
			_, _ = server.Write(out)
			_, _ = io.ReadFull(agent, in)
			_, _ = agent.Write(in)
			_, _ = io.ReadFull(server, out)
		})
		if allocs != 0 {
			t.Errorf("%d bytes there and back: %.0f allocations", size, allocs)
		}
	}
}
