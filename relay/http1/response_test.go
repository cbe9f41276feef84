package http1_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
)

func TestAmbiguousAnswersAreRefused(t *testing.T) {
	for name, head := range map[string]string{
		"two lengths":       "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n",
		"coding list":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		"two codings":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.0 with TE":  "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"CR in a value":     "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\n\r\n",
		"folded":            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
		"status below 100":  "HTTP/1.1 099 No\r\n\r\n",
		"four digits":       "HTTP/1.1 2000 OK\r\n\r\n",
		"no number":         "HTTP/1.1 2x0 OK\r\n\r\n",
		"other protocol":    "ICY 200 OK\r\n\r\n",
		"HTTP/2":            "HTTP/2.0 200 OK\r\n\r\n",
		"control in reason": "HTTP/1.1 200 O\x01K\r\n\r\n",
	} {
		var r http1.Response
		err := r.Parse([]byte(head), limits, false)
		if err == nil || err.Code != postern.CodeUpstreamInvalidResponse {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFramingOfAnswers(t *testing.T) {
	for _, c := range []struct {
		head     string
		bodiless bool
		framing  http1.Framing
		sound    bool
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", false, http1.Length, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", true, http1.None, true},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n", false, http1.Length, false},
		{"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", false, http1.Chunked, true},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", false, http1.Chunked, false},
		{"HTTP/1.1 200 OK\r\n\r\n", false, http1.UntilClose, false},
		{"HTTP/1.0 200 OK\nContent-Length: 2\n\n", false, http1.Length, false},
		{"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n", false, http1.None, true},
		{"HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n", false, http1.None, true},
		{"HTTP/1.1 103 Early Hints\r\n\r\n", false, http1.None, true},
	} {
		var r http1.Response
		if err := r.Parse([]byte(c.head), limits, c.bodiless); err != nil {
			t.Errorf("%q: %v", c.head, err)
		} else if r.Framing != c.framing || r.Sound != c.sound {
			t.Errorf("%q: framing %d, sound %v", c.head, r.Framing, r.Sound)
		}
	}
}

func TestAnswerIsWrittenAnew(t *testing.T) {
	for head, want := range map[string]string{
		"HTTP/1.1 200 All  right\r\nx-a:  b\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nContent-Length: 02\r\n\r\n": "HTTP/1.1 200 All  right\r\nx-a:  b\r\nContent-Length: 2\r\nE: 1\r\n\r\n",
		"HTTP/1.0 404\nX: y\n\n": "HTTP/1.1 404 \r\nX: y\r\nTransfer-Encoding: chunked\r\nE: 1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nTrailer: X-Sum, Content-Type\r\n\r\n": "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\nE: 1\r\n\r\n",
		"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n":                         "HTTP/1.1 204 No Content\r\nE: 1\r\n\r\n",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nTrailer: X\r\n\r\n":                                       "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nE: 1\r\n\r\n",
	} {
		var r http1.Response
		if err := r.Parse([]byte(head), limits, false); err != nil {
			t.Errorf("%q: %v", head, err)
		} else if got := string(r.Append(nil, []byte("E: 1\r\n"))); got != want {
			t.Errorf("%q:\ngot  %q\nwant %q", head, got, want)
		}
	}
}

func TestChunksThatAreRefused(t *testing.T) {
	for name, body := range map[string]string{
		"no size":              "\r\n",
		"prefix":               "0x5\r\nhello\r\n",
		"sign":                 "+5\r\nhello\r\n",
		"underscore":           "1_0\r\n",
		"too many digits":      "0000000000000001\r\n",
		"bare LF":              "5\nhello\r\n",
		"bare LF behind data":  "5\r\nhello\n",
		"too short":            "3\r\nhello\r\n",
		"blank":                "5 \r\nhello\r\n",
		"blank before an ext":  "5 ;a\r\nhello\r\n",
		"CR in an extension":   "5;a\rb\r\nhello\r\n",
		"NUL in an extension":  "5;a\x00\r\nhello\r\n",
		"long extension":       "5;" + strings.Repeat("a", 2000) + "\r\nhello\r\n",
		"many extensions":      strings.Repeat("1;"+strings.Repeat("a", 500)+"\r\nx\r\n", 100),
		"trailer without name": "0\r\n: x\r\n\r\n",
		"folded trailer":       "0\r\nA: x\r\n y\r\n\r\n",
		"long trailers":        "0\r\n" + strings.Repeat("A: "+strings.Repeat("x", 100)+"\r\n", 100) + "\r\n",
	} {
		var c http1.Chunks
		if _, _, done, err := c.Feed([]byte(body)); err == nil || done {
			t.Errorf("%s is accepted", name)
		}
	}
}

// Trailers of a service pass unless they belong into the head, a visitor's never do.
func TestTrailersOfBodies(t *testing.T) {
	const body = "3;x\r\nabc\r\n0\r\nx-sum:  1\r\nContent-Type: x\r\nTransfer-Encoding: y\r\nX-B: 2\r\n\r\n"
	for answer, want := range map[bool]string{false: "0\r\n\r\n", true: "0\r\nx-sum:  1\r\nX-B: 2\r\n\r\n"} {
		c := http1.Chunks{Answer: answer}
		pass, taken, done, err := c.Feed([]byte(body + "next"))
		if err != nil || !done || taken != len(body) || body[:pass] != "3;x\r\nabc\r\n" || c.Data != 3 {
			t.Errorf("%v: %d %d %v %v", answer, pass, taken, done, err)
		}
		if got := string(c.AppendEnd(nil)); got != want {
			t.Errorf("%v: %q", answer, got)
		}
	}
}

func TestBuffer(t *testing.T) {
	var b http1.Buffer
	defer b.Release()
	source := strings.NewReader(strings.Repeat("0123456789", 2000))
	for {
		if _, err := b.Fill(source, 10_000); err != nil {
			if err != http1.ErrFull || b.Len() != 10_000 {
				t.Errorf("%v at %d bytes", err, b.Len())
			}
			break
		}
	}
	b.Discard(9_990)
	b.Append([]byte("abc"))
	if got := string(b.Unread()); got != "0123456789abc" {
		t.Errorf("got %q", got)
	}
	b.Shrink()
	b.Widen()
	if _, err := b.TopUp(source); err != nil || !strings.HasPrefix(string(b.Unread()), "0123456789abc0123") {
		t.Errorf("got %.20q %v", b.Unread(), err)
	}
}
