package flow

import "io"

// Writer puts datagrams on a stream: those that were queued leave in one Write. It holds
// no buffer while nothing is queued. It is for one goroutine.
type Writer struct {
	stream io.Writer
	queued []byte // of the pool; nil while nothing is
}

// NewWriter writes to a stream, which stays the caller's to close.
func NewWriter(stream io.Writer) *Writer { return &Writer{stream: stream} }

// Queue takes a datagram for the next Flush, and flushes first where there is no room
// for it. Errors are ErrTooLong, after which the Writer goes on, and the stream's.
func (w *Writer) Queue(payload []byte) error {
	size := lengthSize + len(payload)
	switch {
	case len(payload) > MaxDatagram:
		return ErrTooLong
	case len(w.queued)+size > cap(w.queued) && len(w.queued)+size <= largeBuffer:
		w.grow(len(w.queued) + size)
	case len(w.queued)+size > cap(w.queued):
		if err := w.Flush(); err != nil {
			return err
		}
		w.grow(size)
	}
	w.queued = Append(w.queued, payload)
	return nil
}

// Write sends one datagram, and what was queued before it.
func (w *Writer) Write(payload []byte) (int, error) {
	if err := w.Queue(payload); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return len(payload), nil
}

// Flush writes what is queued. It blocks as the stream's Write does. What a failed write
// left is dropped: a part of it may have gone.
func (w *Writer) Flush() error {
	if w.queued == nil {
		return nil
	}
	_, err := w.stream.Write(w.queued)
	give(w.queued)
	w.queued = nil
	return err
}

func (w *Writer) grow(n int) {
	larger := append(take(n), w.queued...)
	give(w.queued)
	w.queued = larger
}
