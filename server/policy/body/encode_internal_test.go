package body

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func read(t *testing.T, c Coding, packed io.Reader) string {
	t.Helper()
	text, err := io.ReadAll(newDecoder(packed, []Coding{c}, NewBudget(16<<20)))
	if err != nil {
		t.Errorf("%s: %v", c, err)
	}
	return string(text)
}

// Bodies come out of decoders as they went in, also those of encoders that were used before.
func TestBodiesAreEncoded(t *testing.T) {
	budget := NewBudget(64 << 20)
	encoders := NewEncoders(budget)
	for _, c := range encodings() {
		for _, text := range []string{"hello", "", strings.Repeat("some text, and more of it. ", 100_000)} {
			for _, prompt := range []bool{true, false} {
				body, ok := encoders.encode(iotest.HalfReader(strings.NewReader(text)), c, prompt)
				if !ok {
					t.Fatal("no memory is left")
				}
				if got := read(t, c, body); got != text {
					t.Errorf("%s: %d bytes of %d", c, len(got), len(text))
				}
			}
		}
	}
	if left := budget.left.Load(); left != 64<<20 {
		t.Errorf("%d bytes are not given back", 64<<20-left)
	}
}

// A slow body is not withheld: what has come can be decoded before there is more.
func TestEncodingWithholdsNothing(t *testing.T) {
	for _, c := range encodings() {
		in, out := io.Pipe()
		body, _ := NewEncoders(NewBudget(64<<20)).encode(in, c, true)
		decoder := newDecoder(body, []Coding{c}, NewBudget(16<<20))
		for _, text := range []string{"one line\n", "another line\n"} {
			go func() { _, _ = out.Write([]byte(text)) }()
			got := make([]byte, len(text))
			if _, err := io.ReadFull(decoder, got); err != nil || string(got) != text {
				t.Errorf("%s: %q, %v", c, got, err)
			}
		}
		out.Close()
		if rest, err := io.ReadAll(decoder); len(rest) > 0 || err != nil {
			t.Errorf("%s: %q, %v", c, rest, err)
		}
	}
}

// An encoder that was left in the middle of a body starts anew, and a body that broke off
// does not look whole.
func TestAbandonedEncodersAreKept(t *testing.T) {
	for _, c := range encodings() {
		budget := NewBudget(encoderMemory)
		encoders := NewEncoders(budget)
		body, _ := encoders.encode(strings.NewReader("a body that nobody reads to its end"), c, true)
		if _, err := body.Read(make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
		if _, ok := encoders.encode(strings.NewReader(""), c, true); ok {
			t.Error("there was memory for two")
		}
		body.Close()
		body.Close()
		if _, err := body.Read(make([]byte, 3)); err == nil {
			t.Error("a closed body can be read")
		}
		broken := errors.New("broken")
		body, _ = encoders.encode(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), c, true)
		packed, err := io.ReadAll(body)
		if !errors.Is(err, broken) {
			t.Error(err)
		}
		if text, err := io.ReadAll(newDecoder(bytes.NewReader(packed), []Coding{c}, NewBudget(16<<20))); err == nil || string(text) != "half" {
			t.Errorf("%s: %q, %v", c, text, err)
		}
		body, ok := encoders.encode(strings.NewReader("whole"), c, false)
		if !ok || read(t, c, body) != "whole" {
			t.Error("the encoder is not as new")
		}
	}
}

// No encoder holds more than is counted for it.
func TestEncodersAreCounted(t *testing.T) {
	var text []byte
	for random := rand.New(rand.NewPCG(1, 2)); len(text) < 1<<20; {
		text = fmt.Appendf(text, "%x", random.Uint64())
	}
	for _, c := range encodings() {
		const many = 8
		kept := make([]*encoded, many)
		before := heap()
		encoders := NewEncoders(NewBudget(1 << 30))
		for i := range kept {
			in, out := io.Pipe()
			defer in.Close()
			kept[i], _ = encoders.encode(in, c, true)
			go func() { _, _ = out.Write(text) }()
			buffer := make([]byte, 4<<10)
			for n := 0; n < 256<<10; {
				more, err := kept[i].Read(buffer)
				if err != nil {
					t.Fatal(err)
				}
				n += more
			}
		}
		if each := (heap() - before) / many; each > encoderMemory {
			t.Errorf("%s holds %d bytes", c, each)
		} else {
			t.Logf("%s holds %d KiB", c, each>>10)
		}
		runtime.KeepAlive(kept)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// endless is a line that comes again and again.
type endless string

func (e endless) Read(b []byte) (int, error) {
	n := 0
	for n+len(e) <= len(b) {
		n += copy(b[n:], e)
	}
	return n, nil
}

// A body of 200 MB takes no more memory than a short one.
func TestMemoryIsBounded(t *testing.T) {
	const size = 200 << 20
	for _, c := range encodings() {
		before, most := heap(), int64(0)
		budget := NewBudget(64 << 20)
		body, _ := NewEncoders(budget).encode(io.LimitReader(endless("some words, and some more words\n"), size), c, false)
		decoder := newDecoder(body, []Coding{c}, budget)
		decoder.decoded = -size // it is a bomb
		buffer := make([]byte, 32<<10)
		total, next := 0, 0
		for {
			n, err := decoder.Read(buffer)
			if total += n; total >= next {
				most = max(most, heap()-before)
				next += 32 << 20
			}
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(c, err)
			}
		}
		if total != size || most > 8<<20 {
			t.Errorf("%s: %d bytes; the heap grew by %d", c, total, most)
		}
	}
}
