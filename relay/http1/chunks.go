package http1

import (
	"bytes"
	"net/textproto"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
)

const (
	// mostChunkLine bounds a chunk's size and extensions.
	mostChunkLine = 1 << 10
	// mostOverhead bounds what a body may spend on framing beyond what its data
	// justifies, as net/http does: tiny chunks with long extensions are an attack.
	mostOverhead = 16 << 10
	// MostTrailers bounds the trailers, all together.
	MostTrailers = 4 << 10
)

// Chunks follows a chunked body (RFC 9112 §7.1), so that its bytes can be moved as
// they are. The zero value is at the beginning.
type Chunks struct {
	// Answer tells that the body is a service's: trailers are passed on if they may be
	// trailers, and sizes may be padded with blanks, as old servers do. A visitor's
	// trailers are checked and dropped, and padding is refused.
	Answer bool

	Data int64 // bytes of the body so far, without framing

	// Sink, where set, is given these bytes as Feed takes them.
	Sink func(b []byte)

	state    chunkState
	left     uint64 // of this chunk's data
	overhead int64
	trailers int
	kept     []byte // trailers that are passed on
}

type chunkState uint8

const (
	atSize chunkState = iota
	inData
	atDataEnd
	inTrailers
	atEnd
)

// lastChunk ends a body without trailers.
const lastChunk = "0\r\n\r\n"

// AppendEnd writes the last chunk, with the trailers that are passed on. The body's own
// is never passed. It is not longer than that was.
func (c *Chunks) AppendEnd(dst []byte) []byte {
	if len(c.kept) == 0 {
		return append(dst, lastChunk...)
	}
	dst = append(dst, lastChunk[:3]...)
	dst = append(dst, c.kept...)
	return append(dst, "\r\n"...)
}

// Feed takes the next bytes. It returns how many of them it took (the rest must be
// offered again, with more behind it), how many of these, from the start, are to be
// passed on as they are, and whether the body has ended: then the end is to be written
// by AppendEnd. Whatever follows the body is not taken. Lines must fit into what is offered once mostChunkLine or MostTrailers bytes are.
func (c *Chunks) Feed(b []byte) (pass, taken int, done bool, problem *postern.Error) {
	for taken < len(b) && c.state != atEnd {
		was := c.state
		n, err := c.step(b[taken:])
		if err != "" {
			return 0, 0, false, postern.Errorf(postern.CodeRequestInvalid, "the body is malformed: %s", err)
		}
		if n == 0 {
			break // an incomplete line
		}
		taken += n
		if was != inTrailers && c.state != inTrailers {
			pass = taken
		}
	}
	return pass, taken, c.state == atEnd, nil
}

// step takes one element; 0 means that more is needed.
func (c *Chunks) step(b []byte) (taken int, problem string) {
	switch c.state {
	case atSize:
		return c.size(b)
	case inData:
		n := int(min(uint64(len(b)), c.left))
		c.left -= uint64(n)
		c.Data += int64(n)
		if c.Sink != nil {
			c.Sink(b[:n])
		}
		if c.left == 0 {
			c.state = atDataEnd
		}
		return n, ""
	case atDataEnd:
		switch {
		case b[0] != '\r' || len(b) > 1 && b[1] != '\n':
			return 0, "a chunk does not end where its size says"
		case len(b) < 2:
			return 0, ""
		}
		c.state = atSize
		return 2, ""
	default:
		return c.trailer(b)
	}
}

// size reads a chunk's first line.
func (c *Chunks) size(b []byte) (taken int, problem string) {
	text, taken, problem := wholeLine(b, mostChunkLine, "a chunk's size")
	if taken == 0 || problem != "" {
		return 0, problem
	}
	size, digits := uint64(0), 0
	for digits < len(text) && classes[text[digits]]&isHex != 0 {
		size = size<<4 | uint64(fromHex(text[digits]))
		digits++
	}
	if digits == 0 || digits > 15 {
		return 0, "a chunk's size is not a hexadecimal number"
	}
	if extension := text[digits:]; len(extension) > 0 {
		padding := c.Answer && len(trim(extension)) == 0
		if !padding && (extension[0] != ';' || !all(extension, inValue)) {
			return 0, "a chunk's size is followed by something that is not an extension"
		}
	}
	// A line may cost as much as ordinary ones do; what is beyond adds up.
	c.overhead = max(0, c.overhead+int64(taken)+2-16-2*int64(min(size, mostOverhead)))
	if c.overhead > mostOverhead {
		return 0, "it is made of framing more than of data"
	}
	if c.left = size; size == 0 {
		c.state = inTrailers
	} else {
		c.state = inData
	}
	return taken, ""
}

// trailer reads a line behind the last chunk.
func (c *Chunks) trailer(b []byte) (taken int, problem string) {
	text, taken, problem := wholeLine(b, MostTrailers, "a trailer")
	if taken == 0 || problem != "" {
		return 0, problem
	}
	if c.trailers += taken; c.trailers > MostTrailers {
		return 0, "its trailers are too long"
	}
	if len(text) == 0 {
		c.state = atEnd
		return taken, ""
	}
	l, problem := parseLine(text)
	if problem == "" && c.Answer && mayTrail(l.Name) {
		c.kept = appendRaw(c.kept, &l)
	}
	return taken, problem
}

// mayTrail tells whether a field may be a trailer: none that a receiver must know
// before the body (RFC 9110 §6.5.1).
func mayTrail(name []byte) bool {
	return fieldOf(name).canTrail() && httpguts.ValidTrailerHeader(textproto.CanonicalMIMEHeaderKey(string(name)))
}

// wholeLine finds the end of b's first line; taken is 0 while it is not there.
func wholeLine(b []byte, most int, what string) (text []byte, taken int, problem string) {
	i := bytes.IndexByte(b[:min(len(b), most)], '\n')
	switch {
	case i < 0 && len(b) >= most:
		return nil, 0, what + " is too long"
	case i < 0:
		return nil, 0, ""
	case i == 0 || b[i-1] != '\r':
		return nil, 0, what + " does not end with CR LF"
	}
	return b[:i-1], i + 1, ""
}

func fromHex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
