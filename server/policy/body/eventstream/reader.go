package eventstream

import (
	"bytes"
	"errors"
	"io"
)

// Longest is the most bytes that one event may have.
const Longest = 1 << 20

// ErrLong is an event that is longer.
var ErrLong = errors.New("an event of the stream has more than a megabyte")

// leastBuffer is what short events need.
const leastBuffer = 4 << 10

// Reader gives a stream whose events may be changed, each as soon as its end has come.
type Reader struct {
	source io.Reader
	change func(*Event) error
	buffer []byte // what was read
	text   []byte // its end: the event that comes, and what came behind it
	out    []byte // an event to be given out
	ended  bool   // the source was
	err    error
	begun  bool // an event has come
	ends   ends
}

// NewReader shows every event of source to change before it goes on; blocks of comments
// only pass unseen. An error of change ends the stream, and so does ErrLong. Read gives no
// more than one event at a time, and waits only where none is complete. It holds one event
// twice, at most, and what came with it. Unlike for a client, what follows the last empty
// line is an event, too: not everybody is a client by the book.
func NewReader(source io.Reader, change func(*Event) error) *Reader {
	return &Reader{source: source, change: change}
}

// Read implements io.Reader.
func (r *Reader) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.err = r.next()
	}
	n := copy(b, r.out)
	r.out = r.out[n:]
	return n, nil
}

// next changes an event that has come, or reads.
func (r *Reader) next() error {
	n := r.ends.find(r.text)
	switch {
	case n > Longest, n == 0 && len(r.text) > Longest:
		return ErrLong
	case n > 0:
	case !r.ended:
		return r.fill()
	case len(r.text) == 0:
		return io.EOF
	default:
		n = len(r.text)
	}
	e := parse(bytes.Clone(r.text[:n]), !r.begun)
	r.begun = true
	r.text = r.text[n:]
	if e.hasFields() {
		if err := r.change(e); err != nil {
			return err
		}
	}
	r.out = e.Bytes()
	return nil
}

// fill reads once. What was read before is moved then only, for it may hold many events.
func (r *Reader) fill() error {
	if len(r.buffer)-len(r.text) < leastBuffer/2 {
		grown := make([]byte, max(leastBuffer, 2*len(r.buffer)))
		copy(grown, r.text)
		r.buffer = grown
	} else {
		copy(r.buffer, r.text)
	}
	kept := len(r.text)
	n, err := r.source.Read(r.buffer[kept:])
	r.text = r.buffer[:kept+n]
	if err == io.EOF {
		r.ended, err = true, nil
	}
	return err
}

// ends finds the ends of blocks in a text that grows. Lines end with LF, CR, or both.
type ends struct {
	seen   int  // so much of the block was looked at
	filled bool // the line has something
	turned bool // the last line ended with CR: an LF that follows belongs to it
}

// find gives the length of the block that text begins with, 0 where its end has not come.
func (e *ends) find(text []byte) int {
	for ; e.seen < len(text); e.seen++ {
		c := text[e.seen]
		turned := e.turned
		e.turned = c == '\r'
		switch {
		case c == '\n' && turned: // the second half of what has ended a line
			if e.seen == 0 {
				return 1 // of the block before
			}
		case c != '\n' && c != '\r':
			e.filled = true
		case e.filled:
			e.filled = false
		default:
			n := e.seen + 1
			if c == '\r' && n < len(text) && text[n] == '\n' {
				n, e.turned = n+1, false
			}
			e.seen = 0
			return n
		}
	}
	return 0
}

var _ io.Reader = (*Reader)(nil)
