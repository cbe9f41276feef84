package http1

import (
	"errors"
	"io"
	"sync"
)

// smallBuffer is what a Buffer starts with: it holds nearly every head.
const smallBuffer = 4 << 10

// largeBuffer is what bodies pass through.
const largeBuffer = 64 << 10

var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// ErrFull is what Fill gives when the limit is reached.
var ErrFull = errors.New("http1: the buffer is full")

// Buffer holds bytes that were read from a connection and not used yet. The zero
// value holds nothing. It is for one goroutine at a time.
type Buffer struct {
	b     []byte
	r, w  int // b[r:w] is unread
	small *[smallBuffer]byte
	large *[largeBuffer]byte
}

// Unread returns what was read and not discarded, valid until the next call.
func (b *Buffer) Unread() []byte { return b.b[b.r:b.w] }

// Len counts the unread bytes.
func (b *Buffer) Len() int { return b.w - b.r }

// Discard drops the first n unread bytes.
func (b *Buffer) Discard(n int) {
	b.r += n
	if b.r >= b.w {
		b.r, b.w = 0, 0
	}
}

// Fill reads once from src, behind what is there. Bytes may move in memory; the
// buffer grows up to limit, at which Fill gives ErrFull.
func (b *Buffer) Fill(src io.Reader, limit int) (int, error) {
	if b.w == len(b.b) {
		if err := b.makeRoom(limit); err != nil {
			return 0, err
		}
	}
	return b.TopUp(src)
}

// TopUp reads once from src into what room there is, and moves nothing. Without room
// it gives ErrFull.
func (b *Buffer) TopUp(src io.Reader) (int, error) {
	if b.w == len(b.b) {
		return 0, ErrFull
	}
	n, err := src.Read(b.b[b.w:])
	b.w += n
	return n, err
}

func (b *Buffer) makeRoom(limit int) error {
	switch {
	case b.b == nil:
		b.small = smallBuffers.Get().(*[smallBuffer]byte)
		b.b = b.small[:]
	case b.r > 0:
		b.w = copy(b.b, b.b[b.r:b.w])
		b.r = 0
	case len(b.b) >= limit:
		return ErrFull
	default:
		b.grow(min(2*len(b.b), max(limit, smallBuffer)))
	}
	return nil
}

// grow leaves the old array to the collector: a head in it may still be in use.
func (b *Buffer) grow(size int) {
	grown := make([]byte, size)
	b.w = copy(grown, b.b[b.r:b.w])
	b.b, b.r, b.small, b.large = grown, 0, nil, nil
}

// Append puts bytes that were read elsewhere behind the unread ones. What was unread
// before keeps its place in memory for those who hold parts of it.
func (b *Buffer) Append(p []byte) {
	if len(p) > len(b.b)-b.w {
		b.grow(max(smallBuffer, 2*(b.Len()+len(p))))
	}
	b.w += copy(b.b[b.w:], p)
}

// Widen goes over to a large array, for bodies.
func (b *Buffer) Widen() {
	if b.large != nil || len(b.b) >= largeBuffer {
		return
	}
	large := largeBuffers.Get().(*[largeBuffer]byte)
	w := copy(large[:], b.Unread())
	b.Release()
	b.b, b.w, b.large = large[:], w, large
}

// Shrink gives up a buffer that grew, if little of it is in use.
func (b *Buffer) Shrink() {
	if b.small != nil || b.b == nil || b.Len() > smallBuffer {
		return
	}
	small := smallBuffers.Get().(*[smallBuffer]byte)
	b.w = copy(small[:], b.Unread())
	b.b, b.r, b.small = small[:], 0, small
}

// Release gives the memory back; nothing that was read may be used any more.
func (b *Buffer) Release() {
	if b.small != nil {
		smallBuffers.Put(b.small)
	}
	if b.large != nil {
		largeBuffers.Put(b.large)
	}
	*b = Buffer{}
}
