package flow

import "sync"

// The sizes of buffers. A flow holds one only while it has bytes to keep.
const (
	// smallBuffer takes a short datagram, or a few. A Reader has one of its own.
	smallBuffer = 256
	// quietBuffer is what a queue of a flow with little traffic takes.
	quietBuffer = 4 << 10
	// largeBuffer takes the largest datagram with its length.
	largeBuffer = 64 << 10
	// burstBuffer is what a queue grows to at most: 50 ms of 50,000 datagrams of 200
	// bytes a second.
	burstBuffer = 512 << 10
)

// Buffers are pooled as array pointers: putting a slice into a Pool would allocate its
// header each time.
var (
	quietBuffers = sync.Pool{New: func() any { return new([quietBuffer]byte) }}
	largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
	burstBuffers = sync.Pool{New: func() any { return new([burstBuffer]byte) }}
	viewsPool    = sync.Pool{New: func() any { return new(views) }}
)

// take gives an empty buffer for n bytes at least, of one of the pools; nil where n is
// more than the largest holds.
func take(n int) []byte {
	switch {
	case n <= quietBuffer:
		return quietBuffers.Get().(*[quietBuffer]byte)[:0]
	case n <= largeBuffer:
		return largeBuffers.Get().(*[largeBuffer]byte)[:0]
	case n <= burstBuffer:
		return burstBuffers.Get().(*[burstBuffer]byte)[:0]
	}
	return nil
}

// give returns what take gave.
func give(b []byte) {
	switch cap(b) {
	case quietBuffer:
		quietBuffers.Put((*[quietBuffer]byte)(b[:quietBuffer]))
	case largeBuffer:
		largeBuffers.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	case burstBuffer:
		burstBuffers.Put((*[burstBuffer]byte)(b[:burstBuffer]))
	}
}
