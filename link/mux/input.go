package mux

import (
	"io"
	"time"
)

// input is the buffered reading side of the connection. Payload is handed out
// where it was read, so that a stream can keep it without a copy. It belongs to
// the session's reader alone.
type input struct {
	from   io.Reader
	slab   *slab
	r, w   int // the unread bytes are slab.b[r:w]
	lean   int // short reads in a row; many of them give the large slab back
	onRead func() (quiet time.Duration)

	// What the reader waits with after a short read: nobody knows for how long. TLS
	// gives the rest of a record without asking the kernel.
	tiny      slab
	tinyBytes [tinySlab]byte
}

const (
	// leanReads is how many short reads in a row make input give the largest slab
	// back. One short read after leanAfter of silence, a heartbeat, does so too. A
	// medium slab goes with the first short read.
	leanReads = 64
	leanAfter = time.Second
	// tinySlab is what an idle session holds: room for a heartbeat, an update of a
	// window or a reset.
	tinySlab = 64
)

func newInput(from io.Reader, onRead func() (quiet time.Duration)) *input {
	in := &input{from: from, onRead: onRead}
	in.tiny.b = in.tinyBytes[:]
	in.tiny.holders.Store(1)
	in.slab = &in.tiny
	return in
}

// bytes returns the next n bytes (n at most mediumSlab), valid until the next
// call. A connection that ends inside them is io.ErrUnexpectedEOF; before them,
// io.EOF.
func (in *input) bytes(n int) ([]byte, error) {
	for in.w-in.r < n {
		if err := in.fill(n); err != nil {
			if err == io.EOF && in.w > in.r {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	b := in.slab.b[in.r : in.r+n]
	in.r += n
	return b, nil
}

// piece returns between 1 and n of the next bytes, as many as are there, and the
// slab that they lie in. They are valid until the next call, or for as long as
// the slab is held.
func (in *input) piece(n int) ([]byte, *slab, error) {
	if in.r == in.w {
		if err := in.fill(1); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return nil, nil, err
		}
	}
	n = min(n, in.w-in.r)
	b := in.slab.b[in.r : in.r+n : in.r+n]
	in.r += n
	return b, in.slab, nil
}

// discard skips n bytes without keeping any.
func (in *input) discard(n int) error {
	for n > 0 {
		b, _, err := in.piece(n)
		if err != nil {
			return err
		}
		n -= len(b)
	}
	return nil
}

// fill reads once, after making sure that at least need bytes in a row fit.
func (in *input) fill(need int) error {
	in.makeRoom(need)
	space := in.slab.b[in.w:]
	n, err := in.from.Read(space)
	if n > 0 {
		in.adapt(n, len(space), in.onRead())
		in.w += n
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// makeRoom moves what is unread to a place with space behind it. Bytes that a
// stream keeps are never overwritten: a shared slab is left to its holders.
func (in *input) makeRoom(need int) {
	size := len(in.slab.b)
	grow := in.lean < 0 && size < readSlab
	if in.r == in.w && in.lean > 0 && (size < readSlab || in.lean >= leanReads) {
		in.rest()
		return
	}
	if in.r == in.w && !in.slab.shared() && !grow {
		in.r, in.w = 0, 0
		return
	}
	// A whole TLS record should fit, else a frame would be cut in two for nothing.
	enough := max(need, min(chunkSlab, size/2))
	if !grow && size-in.w >= enough {
		return
	}
	if !in.slab.shared() && !grow && in.w-in.r+enough <= size {
		in.w = copy(in.slab.b, in.slab.b[in.r:in.w])
		in.r = 0
		return
	}
	want := size
	if grow && size < mediumSlab {
		want = mediumSlab
	} else if grow {
		want = readSlab
	}
	next := newSlab(max(want, in.w-in.r+need))
	in.w = copy(next.b, in.slab.b[in.r:in.w])
	in.r = 0
	in.slab.drop()
	in.slab = next
}

// rest takes the least there is, when nothing is unread.
func (in *input) rest() {
	in.r, in.w = 0, 0
	if in.slab != &in.tiny {
		in.slab.drop()
		in.slab = &in.tiny
	}
}

// adapt notes whether the slab has the right size for what arrives: a read that
// filled it wants a larger one, a long row of small reads a small one.
func (in *input) adapt(n, space int, quiet time.Duration) {
	switch {
	case n == space && len(in.slab.b) < readSlab:
		in.lean = -1
	case n <= smallSlab && quiet >= leanAfter:
		in.lean = leanReads
	case n > mediumSlab/2:
		in.lean = 0
	default:
		in.lean = min(in.lean+1, leanReads)
	}
}

// close gives the slab back.
func (in *input) close() {
	if in.slab != nil {
		in.slab.drop()
		in.slab = nil
	}
}
