package flow

import (
	"encoding/binary"
	"io"
)

// Reader takes datagrams from a stream. While it waits it holds a quarter of a KiB; a larger
// buffer comes when datagrams do, and goes when they stop. It is for one goroutine.
type Reader struct {
	source  io.Reader
	small   [smallBuffer]byte
	large   []byte // of the pool; nil while little comes
	unread  []byte // within small or large
	filled  bool   // the last read filled its buffer: there is probably more
	failure error
}

// NewReader reads the datagrams of a stream, which stays the caller's to close.
func NewReader(stream io.Reader) *Reader { return &Reader{source: stream} }

// Next blocks for the next datagram. It is valid until the next call. After the last one
// the error is io.EOF, io.ErrUnexpectedEOF within one, ErrTooLong, or the stream's own.
// After an error that may pass, such as a deadline, Next may be called again.
func (r *Reader) Next() ([]byte, error) {
	for {
		payload, rest, ok, err := Cut(r.unread)
		if err != nil {
			return nil, r.fail(err)
		}
		if ok {
			r.unread = rest
			return payload, nil
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// Buffered gives the datagrams that came together with the last one, as many as into has
// room for. It does not block, and what Next gave stays valid.
func (r *Reader) Buffered(into [][]byte) (n int) {
	for n < len(into) {
		payload, rest, ok, _ := Cut(r.unread) // Next comes to the error
		if !ok {
			break
		}
		into[n], r.unread = payload, rest
		n++
	}
	return n
}

// views are the datagrams of one batch.
type views [batchSize][]byte

// batch blocks for a datagram, and gives it with those that came together with it. The
// views are of the pool, and go back by release.
func (r *Reader) batch() (*views, int, error) {
	first, err := r.Next()
	if err != nil {
		return nil, 0, err
	}
	v := viewsPool.Get().(*views)
	v[0] = first
	return v, 1 + r.Buffered(v[1:]), nil
}

func (v *views) release() {
	*v = views{}
	viewsPool.Put(v)
}

// Release gives the buffers back. The Reader cannot be used after it.
func (r *Reader) Release() {
	give(r.large)
	r.large, r.unread, r.failure = nil, nil, io.ErrClosedPipe
}

// fill reads once more behind what is unread.
func (r *Reader) fill() error {
	if r.failure != nil {
		return r.failure
	}
	buffer := r.room()
	kept := copy(buffer, r.unread)
	n, err := r.source.Read(buffer[kept:])
	r.unread, r.filled = buffer[:kept+n], kept+n == len(buffer)
	switch {
	case n > 0 || err == nil:
		return nil // an error comes again
	case err == io.EOF && kept > 0:
		return r.fail(io.ErrUnexpectedEOF)
	case err == io.EOF:
		return r.fail(err)
	}
	return err
}

// room is the buffer for the next read. A datagram that has begun gets the buffer that
// holds it; where none has, the small one does unless more is known to be there.
func (r *Reader) room() []byte {
	inSmall := r.large == nil
	switch {
	case len(r.unread) > 0 && inSmall && r.announced() <= smallBuffer:
		return r.small[:]
	case len(r.unread) == 0 && !r.more():
		give(r.large)
		r.large = nil
		return r.small[:]
	case inSmall:
		r.large = take(largeBuffer)
	}
	return r.large[:largeBuffer]
}

// announced is how long the datagram that has begun will be, with its length.
func (r *Reader) announced() int {
	if len(r.unread) < lengthSize {
		return lengthSize
	}
	return lengthSize + int(binary.BigEndian.Uint16(r.unread))
}

// more tells whether a read is likely to bring much.
func (r *Reader) more() bool {
	if stream, ok := r.source.(readable); ok {
		return stream.Readable()
	}
	return r.filled
}

// readable is link.Readable.
type readable interface{ Readable() bool }

func (r *Reader) fail(err error) error {
	r.failure = err
	return err
}
