package body

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/postern-dev/postern"
)

// bare is deflate without zlib's frame, as some services send it.
const bare = Coding("bare")

func pack(t testing.TB, text string, codings ...Coding) []byte {
	t.Helper()
	for _, c := range codings {
		var out bytes.Buffer
		var w io.WriteCloser
		switch c {
		case Gzip:
			w = gzip.NewWriter(&out)
		case Deflate:
			w = zlib.NewWriter(&out)
		case bare:
			w, _ = flate.NewWriter(&out, 6)
		case Brotli:
			w = brotli.NewWriter(&out)
		case Zstd:
			w, _ = zstd.NewWriter(&out, zstd.WithWindowSize(1<<20))
		}
		_, err := io.WriteString(w, text)
		if err := errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
		text = out.String()
	}
	return []byte(text)
}

func TestBodiesAreDecoded(t *testing.T) {
	for _, text := range []string{"", "hello", strings.Repeat("some text, and more of it. ", 10_000)} {
		for _, codings := range [][]Coding{{Gzip}, {Deflate}, {bare}, {Brotli}, {Zstd}, {Gzip, Brotli}, {Zstd, Gzip}} {
			packed := pack(t, text, codings...)
			for i, c := range codings {
				if c == bare {
					codings[i] = Deflate
				}
			}
			budget := NewBudget(32 << 20)
			for _, source := range []io.Reader{bytes.NewReader(packed), iotest.OneByteReader(bytes.NewReader(packed)), iotest.DataErrReader(bytes.NewReader(packed))} {
				got, err := io.ReadAll(newDecoder(source, codings, budget))
				if string(got) != text || err != nil {
					t.Errorf("%v: %d bytes of %d, %v", codings, len(got), len(text), err)
				}
			}
			if left := budget.left.Load(); left != 32<<20 {
				t.Errorf("%v: %d bytes are not given back", codings, 32<<20-left)
			}
			if text == "" {
				continue
			}
			var coded *postern.Error
			if _, err := io.ReadAll(newDecoder(bytes.NewReader(packed[:len(packed)/2]), codings, budget)); !errors.As(err, &coded) || coded.Code != postern.CodeBodyUndecodable {
				t.Errorf("%v cut short: %v", codings, err)
			}
			if _, err := io.ReadAll(newDecoder(io.MultiReader(bytes.NewReader(packed), strings.NewReader("x")), codings, budget)); len(codings) == 1 && (!errors.As(err, &coded) || coded.Code != postern.CodeBodyUndecodable) {
				t.Errorf("%v with something behind it: %v", codings, err)
			}
			if _, err := io.ReadAll(newDecoder(strings.NewReader("This is plain text."), codings, budget)); !errors.As(err, &coded) || coded.Code != postern.CodeBodyUndecodable {
				t.Errorf("%v that is none: %v", codings, err)
			}
		}
	}
}

// Nothing at all is taken for an empty body in any coding.
func TestEmptyBodiesNeedNoFrame(t *testing.T) {
	for _, c := range encodings() {
		if got, err := io.ReadAll(newDecoder(strings.NewReader(""), []Coding{c}, NewBudget(1<<20))); len(got) > 0 || err != nil {
			t.Errorf("%s: %q, %v", c, got, err)
		}
	}
}

// What was flushed on the other side can be read before there is more.
func TestDecodingWithholdsNothing(t *testing.T) {
	for _, c := range encodings() {
		in, out := io.Pipe()
		encoder := newEncoder(c)
		encoder.Reset(out)
		const text = "a message that somebody waits for, of some length"
		go func() {
			_, _ = encoder.Write([]byte(text))
			_ = encoder.Flush()
		}()
		d := newDecoder(in, []Coding{c}, NewBudget(16<<20))
		got := make([]byte, len(text))
		if _, err := io.ReadFull(d, got); err != nil || string(got) != text {
			t.Errorf("%s: %q, %v", c, got, err)
		}
		out.Close()
		d.Close()
	}
}

// A small body that would fill a disk is broken off early.
func TestBombsAreDefused(t *testing.T) {
	for _, c := range []Coding{Gzip, Deflate, Brotli, Zstd} {
		bomb := pack(t, strings.Repeat("\x00", 64<<20), c)
		n, err := io.Copy(io.Discard, newDecoder(bytes.NewReader(bomb), []Coding{c}, NewBudget(64<<20)))
		var coded *postern.Error
		if !errors.As(err, &coded) || coded.Code != postern.CodeBodyUndecodable || n > freeDecoded+mostRatio*int64(len(bomb)) {
			t.Errorf("%s: %d bytes of %d, %v", c, n, len(bomb), err)
		}
	}
}

// Memory is counted by the window that a body declares, and given back however it ends.
func TestDecodersAreCounted(t *testing.T) {
	var large bytes.Buffer
	w := brotli.NewWriterOptions(&large, brotli.WriterOptions{Quality: 4, LGWin: 24})
	_, _ = w.Write(bytes.Repeat([]byte("text"), 1<<20))
	_ = w.Close()
	code := func(err error) postern.Code {
		var coded *postern.Error
		errors.As(err, &coded)
		if coded == nil {
			return ""
		}
		return coded.Code
	}
	if _, err := io.ReadAll(newDecoder(&large, []Coding{Brotli}, NewBudget(1<<30))); code(err) != postern.CodeBodyUndecodable {
		t.Errorf("a window of 16 MiB: %v", err)
	}
	for _, c := range []Coding{Brotli, Zstd} {
		packed := pack(t, strings.Repeat("some text", 1<<20), c)
		budget := NewBudget(5 << 20)
		first, second := newDecoder(bytes.NewReader(packed), []Coding{c}, budget), newDecoder(bytes.NewReader(packed), []Coding{c}, budget)
		third := newDecoder(bytes.NewReader(packed), []Coding{c}, NewBudget(64<<10))
		if _, err := first.Read(make([]byte, 10)); err != nil {
			t.Fatal(err)
		}
		if _, err := third.Read(make([]byte, 10)); code(err) != postern.CodeBodyMemory {
			t.Errorf("%s: %v", c, err)
		}
		first.Close()
		first.Close()
		if budget.left.Load() != 5<<20 {
			t.Errorf("%s: %d bytes left", c, budget.left.Load())
		}
		if _, err := first.Read(make([]byte, 10)); err == nil {
			t.Error("a closed body can be read")
		}
		if n, err := io.Copy(io.Discard, second); err != nil || n != 9<<20 {
			t.Errorf("%s: %d bytes, %v", c, n, err)
		}
	}
}

// A Close while somebody reads lets the memory go when the Read returns.
func TestClosingWaitsForReads(t *testing.T) {
	in, out := io.Pipe()
	budget := NewBudget(8 << 20)
	d := newDecoder(in, []Coding{Brotli}, budget)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = d.Read(make([]byte, 10))
	}()
	_, _ = out.Write(pack(t, strings.Repeat("x", 100), Brotli)[:4]) // returns once it was read
	_, _ = out.Write(nil)
	d.Close()
	out.CloseWithError(io.ErrClosedPipe)
	<-done
	if budget.left.Load() != 8<<20 {
		t.Errorf("%d bytes are kept", 8<<20-budget.left.Load())
	}
}

func FuzzDecoder(f *testing.F) {
	for i, c := range encodings() {
		f.Add(pack(f, strings.Repeat("hello hello ", 100), c), byte(i))
	}
	f.Fuzz(func(t *testing.T, packed []byte, which byte) {
		budget := NewBudget(16 << 20)
		c := encodings()[int(which)%len(encodings())]
		d := newDecoder(bytes.NewReader(packed), []Coding{c}, budget)
		n, err := io.Copy(io.Discard, d)
		if n > freeDecoded+mostRatio*int64(len(packed)) {
			t.Errorf("%d bytes grew to %d", len(packed), n)
		}
		var coded *postern.Error
		if err != nil && !errors.As(err, &coded) {
			t.Errorf("an error without a code: %v", err)
		}
		if budget.left.Load() != 16<<20 {
			t.Errorf("%d bytes are kept", 16<<20-budget.left.Load())
		}
	})
}
