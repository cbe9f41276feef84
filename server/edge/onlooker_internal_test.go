package edge

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/postern-dev/postern/relay"
)

// bytesConn is a connection on which bytes have come.
type bytesConn struct {
	relay.Conn
	io.Reader
}

func (c bytesConn) Read(b []byte) (int, error) { return c.Reader.Read(b) }

// looked reads messages as net/http does, behind an onlooker, and counts them.
func looked(text string, split func(io.Reader) io.Reader) (o *onlooker, requests int) {
	o = newOnlooker(bytesConn{Reader: split(strings.NewReader(text))}, new(atomic.Bool))
	reader := bufio.NewReader(o)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return o, requests
		}
		requests++
		if _, err := io.Copy(io.Discard, r.Body); err != nil || r.ProtoMajor != 1 || r.ProtoMinor != 1 {
			return o, requests
		}
	}
}

func whole(r io.Reader) io.Reader { return r }

const bothLengths = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"

// The onlooker finds the ambiguous request behind whatever came before it, and nothing
// that only looks like one.
func TestOnlookerFindsTheAmbiguousRequest(t *testing.T) {
	for name, c := range map[string]struct {
		text      string
		ambiguous int
	}{
		"first":           {bothLengths, 1},
		"other order":     {"POST / HTTP/1.1\nHost: h\ntransfer-encoding: chunked\ncontent-length: 5\n\n0\r\n\r\n", 1},
		"behind a GET":    {"GET / HTTP/1.1\r\nHost: h\r\n\r\n" + bothLengths, 2},
		"behind a length": {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + bothLengths, 2},
		"behind chunks":   {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\na\r\n0123456789\r\n0\r\nA: b\r\n\r\n" + bothLengths, 2},
		"a body":          {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 94\r\n\r\n" + bothLengths, 0},
		"two heads":       {"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\nPUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
		"a long line":     {"GET / HTTP/1.1\r\nHost: h\r\nX-A: " + strings.Repeat("a", 4<<10) + "\r\n\r\n" + bothLengths, 2},
		"a value":         {"PUT / HTTP/1.1\r\nHost: h\r\nX-A: Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 0},
	} {
		for _, split := range []func(io.Reader) io.Reader{whole, iotest.OneByteReader, iotest.HalfReader} {
			if o, _ := looked(c.text, split); o.ambiguous != c.ambiguous {
				t.Errorf("%s: number %d, want %d", name, o.ambiguous, c.ambiguous)
			}
		}
	}
}

// What net/http reads as requests the onlooker counts the same, unless it knows that it
// is lost: then the ambiguous one that follows is found under its number.
func FuzzOnlooker(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "")
	f.Add("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", "GET / HTTP/1.1\nHost: h\n\n")
	f.Add("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n 3\r\n\r\nabc")
	f.Fuzz(func(t *testing.T, one, two string) {
		text := one + two
		before, count := looked(text, whole)
		for _, split := range []func(io.Reader) io.Reader{whole, iotest.OneByteReader} {
			o, requests := looked(text+bothLengths, split)
			if before.state == lost || before.ambiguous > 0 || requests != count+1 {
				continue // refused, or cut off in the middle
			}
			if o.ambiguous != requests {
				t.Errorf("%d requests, the last one ambiguous, but the onlooker says %d of %q", requests, o.ambiguous, text)
			}
		}
	})
}
