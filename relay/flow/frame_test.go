package flow_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/postern-dev/postern/relay/flow"
)

// every datagram of a stream, each a copy.
func every(r io.Reader) (all [][]byte, err error) {
	reader := flow.NewReader(r)
	defer reader.Release()
	for {
		p, err := reader.Next()
		if err != nil {
			return all, err
		}
		all = append(all, append([]byte{}, p...))
	}
}

func payload(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7)
	}
	return p
}

// Every size comes through, the empty datagram and the largest among them, however the
// stream is cut into pieces.
func TestBoundariesAreKept(t *testing.T) {
	var sent [][]byte
	for _, n := range []int{0, 1, 0, 200, 508, 509, 510, 511, 512, 513, 1400, 4094, 4095, 65507, 65507, 3, 65506, 0} {
		sent = append(sent, payload(n))
	}
	var stream bytes.Buffer
	w := flow.NewWriter(&stream)
	for i, p := range sent {
		if err := w.Queue(p); err != nil {
			t.Fatal(err)
		}
		if i%4 == 3 {
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "a byte at a time": iotest.OneByteReader,
		"halves": iotest.HalfReader, "end with the data": iotest.DataErrReader,
	} {
		got, err := every(cut(bytes.NewReader(stream.Bytes())))
		if err != io.EOF || len(got) != len(sent) {
			t.Fatalf("%s: %d datagrams of %d, %v", name, len(got), len(sent), err)
		}
		for i := range got {
			if !bytes.Equal(got[i], sent[i]) {
				t.Errorf("%s: datagram %d of %d bytes arrived as %d bytes", name, i, len(sent[i]), len(got[i]))
			}
		}
	}
}

func TestEndsOfAStream(t *testing.T) {
	for name, c := range map[string]struct {
		stream []byte
		n      int
		want   error
	}{
		"clean":                {flow.Append(nil, []byte("a")), 1, io.EOF},
		"nothing":              {nil, 0, io.EOF},
		"within a length":      {append(flow.Append(nil, nil), 0), 1, io.ErrUnexpectedEOF},
		"within a datagram":    {[]byte{0, 2, 'a'}, 0, io.ErrUnexpectedEOF},
		"a datagram too long":  {append(flow.Append(nil, nil), 0xff, 0xe4, 'a'), 1, flow.ErrTooLong},
		"the longest, cut off": {[]byte{0xff, 0xe3, 'a'}, 0, io.ErrUnexpectedEOF},
	} {
		got, err := every(bytes.NewReader(c.stream))
		if len(got) != c.n || err != c.want {
			t.Errorf("%s: %d datagrams, %v; want %d, %v", name, len(got), err, c.n, c.want)
		}
	}
}

// What fits is sent in one Write; a datagram that none carries is refused and harms no
// other one.
func TestWriterBatches(t *testing.T) {
	w := &counting{}
	writer := flow.NewWriter(w)
	for range 300 {
		if err := writer.Queue(payload(200)); err != nil {
			t.Fatal(err)
		}
	}
	if err := writer.Queue(make([]byte, flow.MaxDatagram+1)); !errors.Is(err, flow.ErrTooLong) {
		t.Errorf("a datagram that is too long: %v", err)
	}
	if n, err := writer.Write([]byte("last")); n != 4 || err != nil || w.writes != 1 {
		t.Errorf("%d writes, %d, %v; want one for all", w.writes, n, err)
	}
	if got, _ := every(&w.Buffer); len(got) != 301 || string(got[300]) != "last" {
		t.Errorf("%d datagrams arrived", len(got))
	}
}

type counting struct {
	bytes.Buffer
	writes int
}

func (c *counting) Write(p []byte) (int, error) {
	c.writes++
	return c.Buffer.Write(p)
}

// A deadline is not the end: what had arrived of a datagram is kept.
func TestReaderGoesOnAfterADeadline(t *testing.T) {
	whole := flow.Append(nil, payload(1000))
	r := flow.NewReader(io.MultiReader(bytes.NewReader(whole[:300]), iotest.TimeoutReader(iotest.OneByteReader(bytes.NewReader(whole[300:])))))
	for {
		p, err := r.Next()
		if errors.Is(err, iotest.ErrTimeout) {
			continue
		}
		if err != nil || !bytes.Equal(p, payload(1000)) {
			t.Fatalf("%d bytes, %v", len(p), err)
		}
		return
	}
}

// The bytes of any stream are cut into datagrams in one way only, by Cut as by Reader, and
// what is cut gives the same bytes again.
func FuzzFraming(f *testing.F) {
	f.Add([]byte{}, uint8(1))
	f.Add(flow.Append(flow.Append(nil, nil), []byte("abc")), uint8(2))
	f.Add([]byte{0xff, 0xff, 1, 2, 3}, uint8(3))
	f.Add(flow.Append(nil, payload(600)), uint8(200))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		var cut [][]byte
		rest := stream
		var failure error
		for {
			p, r, ok, err := flow.Cut(rest)
			if failure = err; err != nil || !ok {
				break
			}
			cut, rest = append(cut, p), r
		}
		var again []byte
		for _, p := range cut {
			again = flow.Append(again, p)
		}
		if !bytes.Equal(append(again, rest...), stream) {
			t.Fatal("the datagrams do not add up to the stream")
		}
		got, err := every(&steps{stream, int(step)%64 + 1})
		if len(got) != len(cut) {
			t.Fatalf("Reader gives %d datagrams, Cut %d", len(got), len(cut))
		}
		for i := range got {
			if !bytes.Equal(got[i], cut[i]) {
				t.Fatalf("datagram %d differs", i)
			}
		}
		want := io.EOF
		switch {
		case failure != nil:
			want = failure
		case len(rest) > 0:
			want = io.ErrUnexpectedEOF
		}
		if err != want {
			t.Fatalf("the end is %v, want %v", err, want)
		}
	})
}

// steps gives n bytes at a time.
type steps struct {
	left []byte
	n    int
}

func (s *steps) Read(p []byte) (int, error) {
	if len(s.left) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.left[:min(s.n, len(s.left))])
	s.left = s.left[n:]
	return n, nil
}
