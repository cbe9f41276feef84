package relay

import "sync"

const (
	// smallBuffer is what an idle direction holds. It takes a message of a chat or a
	// terminal in one read, and two of them are little beside a goroutine's stack.
	smallBuffer = 1 << 10
	// bulkBuffer is what a busy direction copies through. Larger ones gain nothing
	// over TLS, whose records have 16 KiB.
	bulkBuffer = 32 << 10
)

// Buffers are pooled as array pointers: putting a slice into a Pool would allocate
// its header each time.
var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	bulkBuffers  = sync.Pool{New: func() any { return new([bulkBuffer]byte) }}
)
