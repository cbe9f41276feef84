package mux_test

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
)

// An idle session costs one goroutine, whatever it did before, although it answers
// the peer's pings and sends its own.
func TestIdleSessionHasOneGoroutine(t *testing.T) {
	var before int
	bubble(t, rich, func(t *testing.T, client, server *mux.Session, _ *testkit.FaultConn) {
		synctest.Wait()
		before = testkit.InBubble()
		near, far := opened(t, client, server)
		go func() {
			_, _ = near.Write(make([]byte, 600<<10)) // needs window updates
			_ = near.Close()
		}()
		if n, err := io.Copy(io.Discard, far); n != 600<<10 || err != nil {
			t.Fatal(n, err)
		}
		_ = far.Close()
		time.Sleep(5 * time.Second)
		for range 3 {
			time.Sleep(10 * time.Second) // a ping each way, and what follows it
			synctest.Wait()
			if n := testkit.InBubble(); n != before {
				t.Errorf("two idle sessions have %d goroutines more than at their start", n-before)
			}
		}
	})
}
