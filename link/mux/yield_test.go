package mux_test

import (
	"testing"
	"testing/synctest"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
)

// A Write that waits can be called back, and tells what it has sent; WriteNow does
// not wait at all.
func TestWritesYield(t *testing.T) {
	bubble(t, rich, func(t *testing.T, client, server *mux.Session, _ *testkit.FaultConn) {
		near, far := opened(t, client, server)
		content := make([]byte, 8<<20)
		var sent, first int
		var err error
		go func() { sent, err = near.Write(content) }()
		synctest.Wait()
		near.Yield()
		synctest.Wait()
		if err != mux.ErrYielded || sent == 0 || sent == len(content) {
			t.Fatalf("a write that waits for its window was called back after %d bytes: %v", sent, err)
		}
		if n, err := near.WriteNow(content[sent:]); n != 0 || err != mux.ErrYielded {
			t.Errorf("without a window %d bytes went now: %v", n, err)
		}
		first = sent
		go func() { sent, err = near.Write(content[first:]) }()
		got := make([]byte, 64<<10)
		for read := 0; read < len(content); {
			n, err := far.Read(got)
			if err != nil {
				t.Fatal(err)
			}
			read += n
		}
		synctest.Wait()
		if err != nil || first+sent != len(content) {
			t.Errorf("the rest of %d bytes after %d: %d, %v", len(content), first, sent, err)
		}
		near.Yield() // nobody writes
		if n, err := near.WriteNow([]byte("x")); n != 1 || err != nil {
			t.Errorf("with room %d bytes went now: %v", n, err)
		}
	})
}
