package mux

import (
	"io"
	"os"
	"time"
)

// segment is received bytes in memory that a slab owns. Only the last one of a
// stream may have capacity left, to be filled further.
type segment struct {
	data    []byte
	slab    *slab
	charged int32
}

// Read fills p with what has arrived and waits if there is nothing. After the
// peer's CloseWrite it gives io.EOF, after a Reset the coded error.
func (st *Stream) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	st.rmu.Lock()
	n, err := st.await(p)
	if n == 0 && err == nil {
		n = st.pull(p)
	}
	credit := st.due()
	st.rmu.Unlock()
	st.announce(credit)
	return n, err
}

// WriteTo sends everything up to the peer's CloseWrite to w, without a buffer
// between. It honours the read deadline.
func (st *Stream) WriteTo(w io.Writer) (total int64, err error) {
	for {
		st.rmu.Lock()
		_, err := st.await(nil)
		if err != nil {
			st.rmu.Unlock()
			if err == io.EOF {
				err = nil
			}
			return total, err
		}
		seg := st.shift()
		credit := st.due()
		st.rmu.Unlock()
		st.announce(credit)
		n, err := w.Write(seg.data)
		st.free(seg)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// await waits until there are bytes to read or an error. Bytes that arrive while
// it waits go straight into p, n of them. rmu is held.
func (st *Stream) await(p []byte) (n int, err error) {
	for {
		if !st.readUntil.IsZero() && !time.Now().Before(st.readUntil) {
			return 0, os.ErrDeadlineExceeded
		}
		if st.unread > 0 {
			return 0, nil
		}
		if st.readErr != nil {
			return 0, st.readErr
		}
		direct := len(p) > 0 && st.target == nil
		if direct {
			st.target, st.filled = p, 0
		}
		st.waiting++
		waitUntil(&st.readable, st.readUntil, &st.readTimer)
		st.waiting--
		if direct {
			n, st.target = st.filled, nil
			if n > 0 {
				return n, nil
			}
		}
	}
}

// pull copies unread bytes to p. rmu is held.
func (st *Stream) pull(p []byte) (n int) {
	for n < len(p) && st.unread > 0 {
		seg := &st.segments[st.firstSegment]
		k := copy(p[n:], seg.data)
		n += k
		st.unread -= k
		if k < len(seg.data) {
			seg.data = seg.data[k:]
			break
		}
		st.free(st.unlink())
	}
	return n
}

// shift takes the first segment out; its reader frees it. rmu is held.
func (st *Stream) shift() segment {
	seg := st.unlink()
	st.unread -= len(seg.data)
	return seg
}

func (st *Stream) unlink() segment {
	seg := st.segments[st.firstSegment]
	st.segments[st.firstSegment] = segment{}
	st.firstSegment++
	if st.firstSegment == len(st.segments) {
		st.firstSegment = 0
		st.segments = st.segments[:0]
		if cap(st.segments) > 4 {
			st.segments = nil // an idle stream holds nothing
		}
	}
	return seg
}

// free gives a segment's memory back.
func (st *Stream) free(seg segment) {
	seg.slab.drop()
	st.held.Add(-int64(seg.charged))
	st.budget.used.Add(-int64(seg.charged))
}

// shut ends the reading side with err and drops what is unread. rmu is held.
func (st *Stream) shut(err error) {
	for st.unread > 0 {
		st.free(st.shift())
	}
	st.segments, st.firstSegment = nil, 0
	st.readErr = err
	st.noteReadable()
}

// fits tells whether the peer may send n more bytes now. Only the reader takes
// credit away, so what fits at a frame's header still fits at its last byte.
func (st *Stream) fits(n uint32) bool {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	return int64(n) <= st.credit
}

// delivery says what became of bytes that were handed to a stream.
type delivery uint8

const (
	delivered delivery = iota
	useless            // nobody reads them: the stream was closed here or has failed
	late               // they came after the peer's FIN
	tooMuch            // the session's memory for unread data is used up
)

// deliver hands b, which lies in from, to the stream's user, and returns what there
// was no memory for.
func (st *Stream) deliver(b []byte, from *slab) (rest []byte, result delivery) {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	switch st.readErr {
	case nil:
	case io.EOF:
		return b, late
	default:
		return b, useless
	}
	st.credit -= int64(len(b))
	if st.target != nil && st.filled < len(st.target) && st.unread == 0 {
		n := copy(st.target[st.filled:], b)
		st.filled += n
		b = b[n:]
	}
	if len(b) > 0 {
		b = st.store(b, from)
		st.credit += int64(len(b))
	}
	if st.waiting > 0 || st.wake != nil {
		st.noteReadable()
	}
	if len(b) > 0 {
		return b, tooMuch
	}
	return nil, delivered
}

// store keeps b for a later Read: large pieces where they lie, small ones copied
// behind each other. It returns what the session's memory does not allow.
func (st *Stream) store(b []byte, from *slab) (rest []byte) {
	if st.firstSegment < len(st.segments) {
		last := &st.segments[len(st.segments)-1]
		n := min(cap(last.data)-len(last.data), len(b))
		last.data = append(last.data, b[:n]...)
		st.unread += n
		b = b[n:]
	}
	for len(b) > 0 {
		var seg segment
		if len(b) >= pinLeast && len(from.b) == readSlab && st.unread < pinMost {
			from.hold()
			seg = segment{data: b, slab: from, charged: int32(max(len(b), pinCharge))}
		} else {
			size := len(b)
			if st.unread > mediumSlab {
				size = chunkSlab // there will be more
			}
			own := newSlab(min(size, chunkSlab))
			n := min(len(b), len(own.b))
			seg = segment{data: append(own.b[:0], b[:n]...), slab: own, charged: int32(len(own.b))}
		}
		if !st.budget.reserve(int64(seg.charged)) {
			seg.slab.drop()
			return b
		}
		st.held.Add(int64(seg.charged))
		st.segments = append(st.segments, seg)
		st.unread += len(seg.data)
		b = b[len(seg.data):]
	}
	return nil
}

// reserve counts n bytes of memory against the limit.
func (b *Budget) reserve(n int64) bool {
	if b.used.Add(n) > b.limit.Load() {
		b.used.Add(-n)
		return false
	}
	return true
}

// end notes the peer's FIN.
func (st *Stream) end() {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	if st.readErr == nil {
		st.readErr = io.EOF
		st.noteReadable()
	}
}
