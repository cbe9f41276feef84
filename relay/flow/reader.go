package flow

import (
	"encoding/binary"
	"io"
)

// Reader takes datagrams from a stream. While it waits it holds half a KiB; a larger
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

// Batch blocks for a datagram, and takes with it those that came together with it, as
// many as into has room for. They are valid until the next call. Errors are Next's.
func (r *Reader) Batch(into [][]byte) (n int, err error) {
	for n < len(into) {
		if n > 0 && !r.ready() {
			return n, nil
		}
		payload, err := r.Next()
		if err != nil {
			return 0, err // only the first one can fail: the others are there
		}
		into[n] = payload
		n++
	}
	return n, nil
}

// ready tells whether Next would give a datagram without reading.
func (r *Reader) ready() bool {
	_, _, ok, _ := Cut(r.unread)
	return ok
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
