package body

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/postern-dev/postern"
)

const (
	// freeDecoded is how much may come out of a body whatever went in, and mostRatio how many
	// times as much as went in: what swells more is made to.
	freeDecoded = 16 << 20
	mostRatio   = 250
	// mostWindow is how far back a coding may refer (for zstd: RFC 9659).
	mostWindow = 8 << 20
	// mostEmptyReads in a row are taken for a mistake, as package bufio does.
	mostEmptyReads = 100
	// baseDecoder is about what a decoder needs beside its window.
	baseDecoder = 128 << 10
)

// decoder undoes content codings.
type decoder struct {
	lease   lease
	source  countedReader
	codings []Coding
	budget  *Budget
	reader  io.Reader // nil before the first Read: that of a head may wait
	decoded int64
	err     error
}

// newDecoder undoes codings, in the order applied. Its errors are *postern.Error.
func newDecoder(source io.Reader, codings []Coding, budget *Budget) *decoder {
	return &decoder{source: countedReader{Reader: source}, codings: codings, budget: budget}
}

// Read implements io.Reader. It waits only where the source does.
func (d *decoder) Read(b []byte) (n int, err error) {
	if !d.lease.enter() {
		if d.err != nil {
			return 0, d.err
		}
		return 0, io.ErrClosedPipe
	}
	if d.reader == nil {
		err = d.open()
	}
	if err == nil {
		n, err = d.reader.Read(b)
	}
	if err == io.EOF {
		if err = nil; n == 0 {
			err = d.finish()
		}
	}
	d.decoded += int64(n)
	if d.decoded > freeDecoded+mostRatio*d.source.n {
		n, err = 0, postern.Errorf(postern.CodeBodyUndecodable, "%d bytes grow to more than %d: that is no ordinary body", d.source.n, d.decoded)
	}
	if err != nil {
		d.err = d.failure(err)
	}
	d.lease.leave(err != nil)
	return n, d.err
}

// finish reads the source to its end, behind which nothing may follow.
func (d *decoder) finish() error {
	rest := make([]byte, 1)
	for range mostEmptyReads {
		n, err := d.source.Read(rest)
		switch {
		case n > 0:
			return errors.New("something follows the encoded body")
		case err != nil:
			return err
		}
	}
	return io.ErrNoProgress
}

// failure tells errors of the body from those of who sends it.
func (d *decoder) failure(err error) error {
	var coded *postern.Error
	switch {
	case err == io.EOF, errors.As(err, &coded):
		return err
	case d.source.err != nil && d.source.err != io.EOF:
		return d.source.err
	}
	return postern.Errorf(postern.CodeBodyUndecodable, "it is not what its Content-Encoding says (%s)", d.codings[0]).Because(err)
}

// Close lets go of the memory. Read fails afterwards.
func (d *decoder) Close() error {
	d.lease.end()
	return nil
}

func (d *decoder) open() error {
	var reader io.Reader = &d.source
	for _, c := range slices.Backward(d.codings) {
		var err error
		if reader, err = d.undo(c, reader); err != nil {
			return err
		}
	}
	d.reader = reader
	return nil
}

func (d *decoder) undo(c Coding, from io.Reader) (io.Reader, error) {
	source := bufio.NewReader(from)
	switch c {
	case Gzip:
		if _, err := source.Peek(1); err == io.EOF {
			return source, nil // nothing at all: some services say so of empty bodies
		}
		return gzip.NewReader(source)
	case Deflate:
		return inflate(source)
	case Brotli:
		return d.undoBrotli(source)
	case Zstd:
		return d.undoZstd(source)
	}
	return nil, fmt.Errorf("the coding %q is not known", c)
}

// reserve counts the memory of a window.
func (d *decoder) reserve(window int64) error {
	if window > mostWindow {
		return postern.Errorf(postern.CodeBodyUndecodable, "it was encoded with a window of %d bytes, at most %d are supported", window, mostWindow)
	}
	n := window + baseDecoder
	if !d.budget.take(n) {
		return postern.Errorf(postern.CodeBodyMemory, "decoding it needs %d bytes", n)
	}
	d.lease.hold(func() { d.budget.give(n) })
	return nil
}

func (d *decoder) undoBrotli(source *bufio.Reader) (io.Reader, error) {
	begin, err := source.Peek(1)
	if err != nil {
		return source, nil // empty, or the error comes again
	}
	if err := d.reserve(brotliWindow(begin[0])); err != nil {
		return nil, err
	}
	return brotli.NewReader(source), nil
}

// brotliWindow reads the window's size from a stream's first byte (RFC 7932 §9.1).
func brotliWindow(b byte) int64 {
	bits := 16
	switch n, m := b>>1&7, b>>4&7; {
	case b&1 == 0:
	case n != 0:
		bits = 17 + int(n)
	case m == 0:
		bits = 17
	default:
		bits = 8 + int(m) // 9, for the one that is not allowed, fails when it is read
	}
	return 1 << bits
}

func (d *decoder) undoZstd(source *bufio.Reader) (io.Reader, error) {
	begin, _ := source.Peek(zstd.HeaderMaxSize)
	if len(begin) == 0 {
		return source, nil
	}
	var head zstd.Header
	window := int64(mostWindow)
	if head.Decode(begin) == nil && !head.Skippable {
		window = int64(min(head.WindowSize, 1<<62))
		if head.SingleSegment {
			window = int64(min(head.FrameContentSize, 1<<62))
		}
	}
	if err := d.reserve(window); err != nil {
		return nil, err
	}
	// Frames that follow may have no larger window than the first.
	z, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(uint64(max(window, zstd.MinWindowSize))))
	if err != nil {
		return nil, err
	}
	d.lease.hold(z.Close)
	return z, nil
}

// countedReader counts what was read, and keeps the error that ended it.
type countedReader struct {
	io.Reader
	n   int64
	err error
}

func (c *countedReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	c.err = err
	return n, err
}

var _ io.ReadCloser = (*decoder)(nil)
