package edge

import (
	"bytes"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/postern-dev/postern/relay"
)

// onlooker looks on while net/http reads a visitor's HTTP/1 requests, for what net/http
// settles without a word: a request with both Content-Length and Transfer-Encoding. It
// takes the second and forgets the first, but a proxy in front of us may have taken
// the first, and then what we see as the next request is one that a stranger hid in
// the body of this one. RFC 9112 §6.1 lets a server refuse, and demands that the
// connection ends; we do both.
//
// It follows a connection by the framing of its messages and changes nothing, so the
// worst that a difference of opinion can do is that an ambiguous request passes.
type onlooker struct {
	relay.Conn

	mu        sync.Mutex
	state     framingState
	line      []byte // of the current line, as much as is of interest
	skip      int64  // bytes of a body that come next
	length    int64  // Content-Length of the head that is read; -1 for none
	coded     bool   // it has Transfer-Encoding
	first     bool   // its next line is the first
	heads     int    // that were read to their end
	ambiguous int    // number of the first ambiguous one, counted from 1; 0 for none
	more      bool   // the last read gave bytes

	lingers *atomic.Bool // the visitor's: see Close
}

type framingState uint8

const (
	inHead framingState = iota
	inBody
	inChunkSize
	inChunk
	inChunkEnd
	inTrailer
	lost // net/http will refuse this, or we have misunderstood
)

// framingLine is as much of a line as is kept: the names and values of interest are
// shorter.
const framingLine = 128

func newOnlooker(conn relay.Conn, lingers *atomic.Bool) *onlooker {
	return &onlooker{Conn: conn, first: true, length: -1, lingers: lingers}
}

// Read implements net.Conn.
func (o *onlooker) Read(b []byte) (int, error) {
	n, err := o.Conn.Read(b)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.more = err == nil; n > 0 {
		o.follow(b[:n])
	}
	return n, err
}

// Close implements net.Conn. net/http closes at once when it cannot understand what
// follows a request: without lingering that would cost the visitor the answer to what
// came before.
func (o *onlooker) Close() error {
	o.mu.Lock()
	answered := o.heads > 0 && o.more
	o.mu.Unlock()
	if answered {
		o.lingers.Store(true)
	}
	return o.Conn.Close()
}

// NetConn lets others reach the connection below.
func (o *onlooker) NetConn() net.Conn { return o.Conn }

// refuses tells whether the nth request of the connection, counted from 1, is
// ambiguous. A nil onlooker knows of none.
func (o *onlooker) refuses(n int) bool {
	if o == nil {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ambiguous == n
}

func (o *onlooker) follow(b []byte) {
	for len(b) > 0 && o.state != lost {
		if o.state == inBody || o.state == inChunk {
			n := min(o.skip, int64(len(b)))
			b = b[n:]
			if o.skip -= n; o.skip == 0 {
				o.bodyEnded()
			}
			continue
		}
		part, rest, whole := bytes.Cut(b, newline)
		o.line = append(o.line, part[:min(len(part), framingLine-len(o.line))]...)
		if b = rest; whole {
			o.take(bytes.TrimSuffix(o.line, carriageReturn))
			o.line = o.line[:0]
		}
	}
}

var (
	newline          = []byte("\n")
	carriageReturn   = []byte("\r")
	contentLength    = []byte("Content-Length")
	transferEncoding = []byte("Transfer-Encoding")
)

func (o *onlooker) bodyEnded() {
	if o.state == inChunk {
		o.state = inChunkEnd
	} else {
		o.state = inHead
	}
}

// take understands one line, without its end.
func (o *onlooker) take(line []byte) {
	switch o.state {
	case inHead:
		o.takeField(line)
	case inChunkSize:
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimSpace(size)), 16, 64)
		switch {
		case err != nil || n < 0:
			o.state = lost
		case n == 0:
			o.state = inTrailer
		default:
			o.state, o.skip = inChunk, n
		}
	case inChunkEnd:
		o.state = inChunkSize
	case inTrailer:
		if len(line) == 0 {
			o.state = inHead
		}
	}
}

// takeField understands a line of a head.
func (o *onlooker) takeField(line []byte) {
	if o.first {
		o.first = false
		return
	}
	if len(line) == 0 {
		o.headEnded()
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case bytes.EqualFold(name, transferEncoding):
		o.coded = true
	case bytes.EqualFold(name, contentLength):
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 63)
		if err != nil {
			o.state = lost // malformed, or folded into the next line
			n = 0
		}
		o.length = int64(n)
	}
}

func (o *onlooker) headEnded() {
	o.heads++
	if o.coded && o.length >= 0 && o.ambiguous == 0 {
		o.ambiguous = o.heads
	}
	switch {
	case o.coded:
		o.state = inChunkSize
	case o.length > 0:
		o.state, o.skip = inBody, o.length
	}
	o.first, o.coded, o.length = true, false, -1
}

var _ relay.Conn = (*onlooker)(nil)
