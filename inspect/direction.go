package inspect

import (
	"bytes"
	"encoding/binary"

	"github.com/postern-dev/postern/relay/http1"
)

const (
	// The bounds of a head. What is larger is not followed; the relay has bounds of its
	// own.
	mostHead  = 64 << 10
	mostLines = 1000
	// mostProxyHeader bounds a PROXY header, which may stand before the first request.
	mostProxyHeader = 1 << 10
	// mostIdle bounds the memory that a stream holds between messages.
	mostIdle = 4 << 10
)

type place uint8

const (
	atHead place = iota
	inLength
	inChunks
	inRest // of the stream
)

// direction follows the messages that go one way.
type direction struct {
	answer bool // they are answers
	began  bool // the stream's beginning has been looked at
	place  place
	left   int64 // of a body in inLength
	chunks http1.Chunks
	carry  []byte       // the begin of a head or of a line of chunks
	data   func([]byte) // is given the data of bodies
}

// start looks for a PROXY header at the stream's beginning and takes it off p. more
// tells that p was kept, and says too little yet.
func (d *direction) start(p []byte) (rest []byte, more, ok bool) {
	if len(d.carry) > 0 {
		d.carry = append(d.carry, p...)
		p = d.carry
	}
	n, unsure := proxyHeader(p)
	switch {
	case unsure && len(p) > mostProxyHeader:
		return nil, false, false
	case unsure:
		if len(d.carry) == 0 {
			d.carry = append(d.carry, p...)
		}
		return nil, true, true
	}
	d.began, d.carry = true, nil
	return p[n:], false, true
}

// proxyHeader gives the length of the PROXY header that b begins with, 0 for none.
func proxyHeader(b []byte) (n int, unsure bool) {
	const v1, v2 = "PROXY ", "\r\n\r\n\x00\r\nQUIT\n"
	switch {
	case begins(b, v1):
		i := bytes.IndexByte(b, '\n')
		return i + 1, i < 0 || len(b) < len(v1)
	case begins(b, v2):
		if len(b) < len(v2)+4 {
			return 0, true
		}
		n = len(v2) + 4 + int(binary.BigEndian.Uint16(b[len(v2)+2:]))
		return n, len(b) < n
	}
	return 0, false
}

// begins tells whether b and the mark agree as far as both go.
func begins(b []byte, mark string) bool {
	n := min(len(b), len(mark))
	return n > 0 && string(b[:n]) == mark[:n]
}

// head takes bytes up to the end of a head. head is nil while that has not come. It is
// valid until the next call.
func (d *direction) head(p []byte) (head, rest []byte, ok bool) {
	if len(d.carry) == 0 {
		if end := http1.End(p, 0); end >= 0 {
			return p[:end], p[end:], end <= mostHead
		}
		return nil, nil, d.keep(p)
	}
	before := len(d.carry)
	if !d.keep(p[:min(len(p), mostHead)]) {
		return nil, nil, false
	}
	end := http1.End(d.carry, before)
	if end < 0 {
		return nil, nil, len(p) <= mostHead
	}
	head = d.carry[:end]
	if d.carry = d.carry[:0]; cap(d.carry) > mostIdle {
		d.carry = nil
	}
	return head, p[end-before:], true
}

func (d *direction) keep(p []byte) bool {
	if len(d.carry)+len(p) > 2*mostHead {
		return false
	}
	d.carry = append(d.carry, p...)
	return len(d.carry) <= mostHead || http1.End(d.carry, 0) >= 0
}

// expect is told of the body behind a head.
func (d *direction) expect(h *http1.Head) {
	switch h.Framing {
	case http1.Length:
		d.place, d.left = inLength, h.Length
	case http1.Chunked:
		d.place, d.chunks = inChunks, http1.Chunks{Answer: d.answer, Sink: d.data}
	case http1.UntilClose:
		d.place = inRest
	default:
		d.place = atHead
	}
}

// body takes bytes of a body, hands on those that are data, and tells how many it took
// and whether the body has ended with them.
func (d *direction) body(p []byte) (taken int, done, ok bool) {
	switch d.place {
	case inLength:
		taken = int(min(int64(len(p)), d.left))
		d.data(p[:taken])
		d.left -= int64(taken)
		return taken, d.left == 0, true
	case inChunks:
		return d.chunked(p)
	}
	d.data(p)
	return len(p), false, true
}

// chunked is body for chunks. An incomplete line waits in carry for its end.
func (d *direction) chunked(p []byte) (taken int, done, ok bool) {
	if len(d.carry) == 0 {
		_, n, done, problem := d.chunks.Feed(p)
		if problem != nil {
			return 0, false, false
		}
		if !done && n < len(p) {
			d.carry = append(d.carry, p[n:]...)
			n = len(p)
		}
		return n, done, len(d.carry) <= 2*http1.MostTrailers
	}
	line := p
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		line = p[:i+1]
	}
	if len(d.carry)+len(line) > 2*http1.MostTrailers {
		return 0, false, false
	}
	d.carry = append(d.carry, line...)
	_, n, done, problem := d.chunks.Feed(d.carry)
	if problem != nil {
		return 0, false, false
	}
	d.carry = append(d.carry[:0], d.carry[n:]...)
	return len(line), done, true
}

// trailers are those of the body that has just ended, whole lines.
func (d *direction) trailers() []byte {
	if d.place != inChunks {
		return nil
	}
	end := d.chunks.AppendEnd(nil) // "0", the lines, an empty line
	return end[3 : len(end)-2]
}
