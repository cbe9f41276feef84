package link_test

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"github.com/postern-dev/postern/link"
)

// recorder notes every write, until it fails.
type recorder struct {
	net.Conn
	writes [][]byte
	failed error
}

func (r *recorder) Write(p []byte) (int, error) {
	if r.failed != nil {
		return 0, r.failed
	}
	r.writes = append(r.writes, bytes.Clone(p))
	return len(p), nil
}

func write(t *testing.T, w *link.Wire, p []byte) {
	t.Helper()
	if n, err := w.Write(p); n != len(p) || err != nil {
		t.Fatalf("Write = %d, %v", n, err)
	}
}

func TestWireGathers(t *testing.T) {
	below := &recorder{}
	w := link.NewWire(below)
	write(t, w, []byte("one "))
	w.Gather()
	write(t, w, []byte("two "))
	write(t, w, []byte("three "))
	if len(below.writes) != 1 {
		t.Fatalf("%d writes before Flush, want the first one", len(below.writes))
	}
	for range 2 { // the second has nothing to write
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	write(t, w, []byte("four"))
	if got := string(bytes.Join(below.writes, []byte("|"))); got != "one |two three |four" {
		t.Errorf("written: %q", got)
	}
}

// Whatever is gathered leaves in order and whole, also what is larger than the buffer.
func TestWireKeepsOrder(t *testing.T) {
	below := &recorder{}
	w := link.NewWire(below)
	var want []byte
	w.Gather()
	for i, n := range []int{16406, 16406, 16406, 16406, 30, 5, 100 << 10, 1, 66 << 10, 7} {
		p := bytes.Repeat([]byte{byte(i)}, n)
		want = append(want, p...)
		write(t, w, p)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(bytes.Join(below.writes, nil), want) {
		t.Error("bytes were lost, doubled or left in another order")
	}
	if len(below.writes) != 5 {
		t.Errorf("%d writes, want 5: three buffers, what is larger than one, and the rest", len(below.writes))
	}
}

// A gathered write that failed may have sent half a record: nothing may follow it.
func TestWireFailsForGood(t *testing.T) {
	below := &recorder{failed: errors.New("reset")}
	w := link.NewWire(below)
	w.Gather()
	write(t, w, []byte("kept"))
	if err := w.Flush(); !errors.Is(err, below.failed) {
		t.Fatalf("Flush = %v", err)
	}
	why := below.failed
	below.failed = nil
	if _, err := w.Write([]byte("more")); !errors.Is(err, why) {
		t.Errorf("Write after the failure = %v", err)
	}
	w.Gather()
	if _, err := w.Write([]byte("more")); !errors.Is(err, why) {
		t.Errorf("gathered Write after the failure = %v", err)
	}
	if err := w.Flush(); !errors.Is(err, why) || len(below.writes) != 0 {
		t.Errorf("Flush after the failure = %v, %d writes", err, len(below.writes))
	}
}

// A link that is idle, and one that is at work, allocate nothing for this.
func TestWireAllocatesNothing(t *testing.T) {
	w := link.NewWire(discard{})
	record := make([]byte, 16406)
	if n := testing.AllocsPerRun(100, func() {
		w.Gather()
		for range 4 {
			_, _ = w.Write(record)
		}
		_ = w.Flush()
	}); n != 0 {
		t.Errorf("%v allocations for four records", n)
	}
}

type discard struct{ net.Conn }

func (discard) Write(p []byte) (int, error) { return len(p), nil }
