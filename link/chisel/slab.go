package chisel

import "sync"

// slabSize is the size of all large buffers: of what is read from a connection at a
// time, of a message that is written (chisel from 1.12 on refuses messages that are
// longer, so a message and its head are this long at most), and of what a stream hands
// on. None is held while nothing moves.
const slabSize = 64 << 10

type slab [slabSize]byte

var slabs = sync.Pool{New: func() any { return new(slab) }}
