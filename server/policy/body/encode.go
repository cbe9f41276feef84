package body

import (
	"bytes"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Encoders keeps encoders for the next body. It is safe concurrently.
type Encoders struct {
	budget *Budget
	idle   map[Coding]*sync.Pool
}

// NewEncoders takes the memory of encoders from a budget.
func NewEncoders(budget *Budget) *Encoders {
	e := &Encoders{budget: budget, idle: map[Coding]*sync.Pool{}}
	for _, c := range encodings() {
		e.idle[c] = new(sync.Pool)
	}
	return e
}

// Budget is what the memory is taken from.
func (e *Encoders) Budget() *Budget { return e.budget }

// encodings are the codings that can be applied.
func encodings() []Coding { return []Coding{Gzip, Deflate, Brotli, Zstd} }

// encoder is one coding's. What is written comes out in any later call.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

const (
	// encoderMemory is at least what any of the encoders below holds, with the buffers about
	// it, in bytes (TestEncodersAreCounted).
	encoderMemory = 3 << 19
	// windowBits is the logarithm of how far back they refer: far enough for text.
	windowBits = 18
	// Higher ones take several times as much work for some percent less.
	deflateLevel, brotliQuality = 4, 3
)

// newEncoder makes one. Errors of the packages are about options, and these do not change.
func newEncoder(c Coding) encoder {
	switch c {
	case Deflate:
		w, _ := zlib.NewWriterLevel(io.Discard, deflateLevel)
		return w
	case Brotli:
		return brotli.NewWriterOptions(io.Discard, brotli.WriterOptions{Quality: brotliQuality, LGWin: windowBits})
	case Zstd:
		z, _ := zstd.NewWriter(io.Discard, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true),
			zstd.WithWindowSize(1<<windowBits), zstd.WithEncoderLevel(zstd.SpeedFastest))
		return z
	}
	w, _ := gzip.NewWriterLevel(io.Discard, deflateLevel)
	return w
}

// encoded is a body in a content coding.
type encoded struct {
	lease    lease
	source   io.Reader
	encoders *Encoders
	coding   Coding
	prompt   bool // what comes goes on at once
	encoder  encoder
	piece    []byte
	out      bytes.Buffer
	err      error
}

// pieces are what bodies are read through.
const pieceSize = 32 << 10

// encode applies a coding. prompt has all that was read go on before more is waited for;
// else it goes on when the encoder has enough. ok is false where no memory is left.
func (e *Encoders) encode(source io.Reader, c Coding, prompt bool) (body *encoded, ok bool) {
	if !e.budget.take(encoderMemory) {
		return nil, false
	}
	body = &encoded{source: source, encoders: e, coding: c, prompt: prompt}
	body.lease.hold(body.giveBack)
	return body, true
}

// giveBack keeps the encoder for others.
func (b *encoded) giveBack() {
	b.encoders.budget.give(encoderMemory)
	if b.encoder != nil {
		b.encoder.Reset(io.Discard)
		b.encoders.idle[b.coding].Put(b.encoder)
	}
	b.encoder, b.piece, b.out = nil, nil, bytes.Buffer{}
}

// Read implements io.Reader.
func (b *encoded) Read(p []byte) (int, error) {
	if !b.lease.enter() {
		if b.err != nil {
			return 0, b.err
		}
		return 0, io.ErrClosedPipe
	}
	b.begin()
	for b.err == nil && b.out.Len() == 0 {
		b.err = b.more()
	}
	n, _ := b.out.Read(p)
	if n > 0 {
		b.lease.leave(false)
		return n, nil
	}
	b.lease.leave(b.err != nil)
	return 0, b.err
}

// begin takes an encoder.
func (b *encoded) begin() {
	if b.encoder != nil {
		return
	}
	var kept bool
	if b.encoder, kept = b.encoders.idle[b.coding].Get().(encoder); !kept {
		b.encoder = newEncoder(b.coding)
	}
	b.encoder.Reset(&b.out)
	b.piece = make([]byte, pieceSize)
}

// more encodes what comes next.
func (b *encoded) more() error {
	n, err := b.source.Read(b.piece)
	if n > 0 {
		if _, err := b.encoder.Write(b.piece[:n]); err != nil {
			return err
		}
	}
	switch {
	case err == io.EOF:
		if err := b.encoder.Close(); err != nil {
			return err
		}
		return io.EOF
	case err != nil:
		return err
	case n > 0 && b.prompt:
		return b.encoder.Flush()
	}
	return nil
}

// Close lets go of the encoder. Read fails afterwards.
func (b *encoded) Close() error {
	b.lease.end()
	return nil
}

var _ io.ReadCloser = (*encoded)(nil)
