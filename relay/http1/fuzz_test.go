package http1_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/postern-dev/postern/relay/http1"
)

// What is accepted net/http reads in the same way, and writing it anew changes it
// only once.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /a%20b?c=d HTTP/1.1\r\nHost: a:80\r\nContent-Length: 5\r\nConnection: close, X\r\nX: y\r\n\r\nhello",
		"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n0\r\n\r\n",
		"OPTIONS * HTTP/1.0\r\n\r\n",
		"GET http://a/b HTTP/1.1\r\nHost: c\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		end := http1.End(b, 0)
		if end < 0 {
			return
		}
		var r http1.Request
		if r.Parse(b[:end], limits) != nil {
			return
		}
		compareWithStandard(t, &r, b[:end])
		once := r.Append(nil, http1.RequestEdit{})
		if http1.End(once, 0) != len(once) {
			t.Fatalf("%q was written as %q", b[:end], once)
		}
		var again http1.Request
		if r.Host == nil {
			return // HTTP/1.0 without one; the relay does not pass it on
		}
		if err := again.Parse(once, http1.Limits{Bytes: 1 << 20, Lines: 300}); err != nil {
			t.Fatalf("%q was written as %q: %v", b[:end], once, err)
		}
		if twice := again.Append(nil, http1.RequestEdit{}); !bytes.Equal(once, twice) {
			t.Fatalf("%q, then %q", once, twice)
		}
		if again.Framing != r.Framing || again.Length != r.Length || !bytes.Equal(again.Target, r.Target) || !bytes.Equal(again.Host, r.Host) {
			t.Fatalf("%q was written as %q", b[:end], once)
		}
	})
}

func compareWithStandard(t *testing.T, r *http1.Request, head []byte) {
	// A body long enough for whatever is announced; only the head is looked at.
	std, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(head), strings.NewReader("0\r\n\r\n"))))
	if err != nil {
		if r.Absolute || len(r.First(http1.Trailer)) > 0 {
			return // the target of the one, the trailers of the other are not looked at
		}
		t.Fatalf("accepted, but net/http says %v: %q", err, head)
	}
	if std.Method != string(r.Method) || std.RequestURI != string(r.Target) || std.ProtoMinor != r.Minor {
		t.Fatalf("net/http read %s %s HTTP/1.%d from %q", std.Method, std.RequestURI, std.ProtoMinor, head)
	}
	if !r.Absolute && std.Host != string(r.Host) {
		t.Fatalf("net/http read host %q from %q", std.Host, head)
	}
	want := r.Length
	if r.Framing == http1.Chunked {
		want = -1
	}
	if std.ContentLength != want {
		t.Fatalf("net/http read length %d from %q", std.ContentLength, head)
	}
	if r.Minor == 1 && r.Close != std.Close {
		t.Fatalf("net/http read close %v from %q", std.Close, head)
	}
}

func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 404\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n",
		"HTTP/1.0 204 No Content\nConnection: X\nX: y\n\n",
		"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
		"HTTP/1.1 200 \r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
	} {
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, bodiless bool) {
		end := http1.End(b, 0)
		if end < 0 {
			return
		}
		var r http1.Response
		if r.Parse(b[:end], limits, bodiless) != nil {
			return
		}
		once := r.Append(nil, nil)
		var again http1.Response
		if err := again.Parse(once, http1.Limits{Bytes: 1 << 20, Lines: 300}, bodiless); err != nil || http1.End(once, 0) != len(once) {
			t.Fatalf("%q was written as %q: %v", b[:end], once, err)
		}
		if twice := again.Append(nil, nil); !bytes.Equal(once, twice) {
			t.Fatalf("%q, then %q", once, twice)
		}
		if r.Code < 200 {
			return
		}
		method := http.MethodGet
		if bodiless {
			method = http.MethodHead
		}
		std, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(once)), &http.Request{Method: method})
		if err != nil {
			if len(r.First(http1.Trailer)) > 0 {
				return // trailers that net/http does not like
			}
			t.Fatalf("%q is not understood: %v", once, err)
		}
		if chunked := len(std.TransferEncoding) > 0; !bodiless && chunked != (again.Framing == http1.Chunked) || std.StatusCode != r.Code {
			t.Fatalf("net/http read %d, chunked %v from %q", std.StatusCode, chunked, once)
		}
	})
}

// A body that is accepted, however it is cut, net/http decodes to as many bytes, also
// from what is passed on, and nothing behind it is taken.
func FuzzChunks(f *testing.F) {
	for _, seed := range []string{
		"5\r\nhello\r\n0\r\n\r\nGET", "5;a=b\r\nhello\r\n000\r\nX: y\r\n\r\n", "A \r\n0123456789\r\n0;x\r\n\r\n", "5\nhello\n0\n\n",
		"fffffffffffffffff\r\n", "3\r\nhello\r\n", "0\r\nContent-Length: 5\r\n\r\n", "1\r\na\r1\r\n",
	} {
		f.Add([]byte(seed), uint8(3), true)
		f.Add([]byte(seed), uint8(200), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, piece uint8, answer bool) {
		c := http1.Chunks{Answer: answer}
		var passed []byte
		taken, offered, done := 0, 0, false
		for !done {
			if offered == len(b) {
				return // it does not end
			}
			offered = min(offered+1+int(piece), len(b))
			pass, n, over, err := c.Feed(b[taken:offered])
			if err != nil {
				return
			}
			if pass > n || n > offered-taken {
				t.Fatalf("%d of %d of %d", pass, n, offered-taken)
			}
			passed = append(passed, b[taken:taken+pass]...)
			taken += n
			done = over
		}
		passed = c.AppendEnd(passed)
		for _, body := range [][]byte{b[:taken], passed} {
			head := "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
			rest := bufio.NewReader(strings.NewReader(head + string(body) + "|next"))
			r, err := http.ReadRequest(rest)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, r.Body)
			if err != nil || n != c.Data {
				t.Fatalf("net/http read %d bytes of %d (%v) from %q", n, c.Data, err, body)
			}
			if next, _ := io.ReadAll(rest); string(next) != "|next" {
				t.Fatalf("%q is left of %q", next, body)
			}
		}
	})
}
