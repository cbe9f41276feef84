package mux

import (
	"bytes"
	"fmt"
	"net"
	"testing"
)

// A stream that nobody reads holds hardly more memory than it has unread bytes, also
// where every piece comes in a slab of its own, and is charged for at least half of it.
func TestStalledStreamHoldsItsWindow(t *testing.T) {
	const window = 1 << 20
	for _, size := range []int{100, 5000, pinLeast, chunkSlab - headerSize, readSlab} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			a, b := net.Pipe()
			s := New(b, Config{Window: window, Limits: Limits{Buffered: 8 << 20}})
			defer func() {
				s.Close(nil)
				a.Close()
				<-s.Closed()
			}()
			st := newStream(s, 3)
			sent := make([]byte, 0, window)
			for piece := byte(0); len(sent)+size <= window; piece++ {
				from := newSlab(readSlab)
				b := from.b[:size:size]
				copy(b, bytes.Repeat([]byte{piece}, size))
				sent = append(sent, b...)
				if _, result := st.deliver(b, from); result != delivered {
					t.Fatalf("piece %d: %v", piece, result)
				}
				from.drop()
			}

			held := 0
			counted := make(map[*slab]bool)
			for _, seg := range st.segments {
				if !counted[seg.slab] {
					counted[seg.slab] = true
					held += len(seg.slab.b)
				}
			}
			if most := st.unread + window/4; held > most {
				t.Errorf("%d bytes are held for %d unread ones, want %d at most", held, st.unread, most)
			}
			if charged := st.held.Load(); charged > int64(held) || 2*charged < int64(held) {
				t.Errorf("%d bytes are charged for %d", charged, held)
			}

			got := make([]byte, 0, len(sent))
			for p := make([]byte, 60_000); len(got) < len(sent); {
				n, err := st.Read(p)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, p[:n]...)
			}
			if !bytes.Equal(got, sent) {
				t.Error("the reader who comes back after all gets something else")
			}
			if held, used := st.held.Load(), st.budget.used.Load(); held != 0 || used != 0 {
				t.Errorf("%d bytes stay charged to the stream, %d to the session", held, used)
			}
		})
	}
}
