package relay

import "sync"

const (
	// smallBuffer is what an idle direction holds. It takes a message of a chat or a
	// terminal in one read, and two of them are little beside a goroutine's stack.
	smallBuffer = 512
	// bulkBuffer is what a busy direction copies through: four frames of link/mux,
	// each one TLS record with its header. A round number of KiB would end in a frame,
	// and a record, of a few bytes.
	bulkBuffer = 4 * (16<<10 - 8)
)

// Buffers are pooled as array pointers: putting a slice into a Pool would allocate
// its header each time.
var (
	smallBuffers = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	bulkBuffers  = sync.Pool{New: func() any { return new([bulkBuffer]byte) }}
)
