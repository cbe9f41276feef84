package mux

import (
	"sync"
	"sync/atomic"
)

// Sizes of the memory that received bytes live in.
const (
	smallSlab  = 1 << 10
	mediumSlab = 4 << 10
	chunkSlab  = 16 << 10
	readSlab   = 32 << 10

	// pinLeast is the least payload that stays where it was read instead of being
	// copied. It is charged at least half a readSlab, so what is charged is never
	// less than half of what is held.
	pinLeast  = 8 << 10
	pinCharge = readSlab / 2

	// pinMost is how much may be unread before what follows is copied all the same: a
	// reader who keeps up has less, and one who stops holds hardly more than his window.
	pinMost = 64 << 10
)

// slab is pooled memory, shared by the reader that fills it and the streams whose
// payload lies in it. It returns to its pool with its last holder.
type slab struct {
	b       []byte
	holders atomic.Int32
	pool    *sync.Pool // nil: it is a part of its only holder
}

// The pools of each size. sync.Pool is safe concurrently and holds no state that
// anything depends on.
var slabPools = [4]sync.Pool{}

// newSlab returns a slab of at least n bytes (of readSlab at most), held once.
func newSlab(n int) *slab {
	index, size := 3, readSlab
	switch {
	case n <= smallSlab:
		index, size = 0, smallSlab
	case n <= mediumSlab:
		index, size = 1, mediumSlab
	case n <= chunkSlab:
		index, size = 2, chunkSlab
	}
	pool := &slabPools[index]
	s, ok := pool.Get().(*slab)
	if !ok {
		s = &slab{b: make([]byte, size), pool: pool}
	}
	s.holders.Store(1)
	return s
}

func (s *slab) hold() { s.holders.Add(1) }

func (s *slab) drop() {
	if s.holders.Add(-1) == 0 && s.pool != nil {
		s.pool.Put(s)
	}
}

// shared tells whether anybody but the caller holds s.
func (s *slab) shared() bool { return s.holders.Load() > 1 }
