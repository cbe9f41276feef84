package http1_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
)

var limits = http1.Limits{Bytes: 32 << 10, Lines: 200}

const host = "Host: app.test\r\n"

// B2 "request smuggling": what two parsers could read in two ways is refused.
func TestAmbiguousRequestsAreRefused(t *testing.T) {
	for name, head := range map[string]string{
		"CL.TE":                    "POST / HTTP/1.1\r\n" + host + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n",
		"TE.CL":                    "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n",
		"TE.TE":                    "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		"coding list":              "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n",
		"unknown coding":           "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\n\r\n",
		"empty coding":             "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding:\r\n\r\n",
		"same length twice":        "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
		"two lengths":              "POST / HTTP/1.1\r\n" + host + "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
		"signed length":            "POST / HTTP/1.1\r\n" + host + "Content-Length: +5\r\n\r\n",
		"length list":              "POST / HTTP/1.1\r\n" + host + "Content-Length: 5, 5\r\n\r\n",
		"empty length":             "POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\n",
		"huge length":              "POST / HTTP/1.1\r\n" + host + "Content-Length: 9999999999999999999999\r\n\r\n",
		"hexadecimal length":       "POST / HTTP/1.1\r\n" + host + "Content-Length: 0x5\r\n\r\n",
		"HTTP/1.0 with TE":         "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n",
		"bare LF":                  "GET / HTTP/1.1\n" + host + "\r\n",
		"bare LF in header":        "GET / HTTP/1.1\r\nHost: app.test\nX: y\r\n\r\n",
		"bare LF at the end":       "GET / HTTP/1.1\r\nHost: app.test\r\n\n",
		"bare CR":                  "GET / HTTP/1.1\r\nHost: app.test\r\nX: a\rb\r\n\r\n",
		"CR at the end of a value": "GET / HTTP/1.1\r\nHost: app.test\r\nX: a\r\r\n\r\n",
		"folded":                   "GET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n",
		"folded first":             "GET / HTTP/1.1\r\n " + host + "\r\n",
		"blank before colon":       "GET / HTTP/1.1\r\n" + host + "X : a\r\n\r\n",
		"no colon":                 "GET / HTTP/1.1\r\n" + host + "X\r\n\r\n",
		"no name":                  "GET / HTTP/1.1\r\n" + host + ": a\r\n\r\n",
		"name beyond ASCII":        "GET / HTTP/1.1\r\n" + host + "X\xc3: a\r\n\r\n",
		"NUL":                      "GET / HTTP/1.1\r\n" + host + "X: a\x00b\r\n\r\n",
		"DEL":                      "GET / HTTP/1.1\r\n" + host + "X: a\x7fb\r\n\r\n",
		"two hosts":                "GET / HTTP/1.1\r\n" + host + host + "\r\n",
		"no host":                  "GET / HTTP/1.1\r\n\r\n",
		"HTTP/0.9":                 "GET /\r\n\r\n",
		"HTTP/1.2":                 "GET / HTTP/1.2\r\n" + host + "\r\n",
		"HTTP/2.0":                 "PRI * HTTP/2.0\r\n\r\n",
		"lower case protocol":      "GET / http/1.1\r\n" + host + "\r\n",
		"two blanks":               "GET  / HTTP/1.1\r\n" + host + "\r\n",
		"blank in target":          "GET /a b HTTP/1.1\r\n" + host + "\r\n",
		"tab for a blank":          "GET\t/ HTTP/1.1\r\n" + host + "\r\n",
		"fragment":                 "GET /#x HTTP/1.1\r\n" + host + "\r\n",
		"bad escape":               "GET /%zz HTTP/1.1\r\n" + host + "\r\n",
		"half an escape":           "GET /%2 HTTP/1.1\r\n" + host + "\r\n",
		"control in target":        "GET /\x01 HTTP/1.1\r\n" + host + "\r\n",
		"CONNECT":                  "CONNECT app.test:443 HTTP/1.1\r\n" + host + "\r\n",
		"asterisk":                 "GET * HTTP/1.1\r\n" + host + "\r\n",
		"authority":                "GET app.test:80 HTTP/1.1\r\n" + host + "\r\n",
		"no authority":             "GET http:///x HTTP/1.1\r\n" + host + "\r\n",
		"other scheme":             "GET ftp://app.test/ HTTP/1.1\r\n" + host + "\r\n",
		"method with a colon":      "GE:T / HTTP/1.1\r\n" + host + "\r\n",
		"empty line first":         "\r\nGET / HTTP/1.1\r\n" + host + "\r\n",
	} {
		var r http1.Request
		err := r.Parse([]byte(head), limits)
		if err == nil || err.Code != postern.CodeRequestInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLimitsOfAHead(t *testing.T) {
	var r http1.Request
	for name, head := range map[string]string{
		"bytes": "GET / HTTP/1.1\r\n" + host + "X: " + strings.Repeat("x", 33<<10) + "\r\n\r\n",
		"lines": "GET / HTTP/1.1\r\n" + host + strings.Repeat("X: y\r\n", 201) + "\r\n",
	} {
		if err := r.Parse([]byte(head), limits); err == nil || err.Code != postern.CodeHeaderTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := r.Parse([]byte("GET / HTTP/1.1\r\n"+host+strings.Repeat("X: y\r\n", 200)+"\r\n"), limits); err != nil {
		t.Errorf("200 lines: %v", err)
	}
}

func TestRequestsAreUnderstood(t *testing.T) {
	for _, c := range []struct {
		head    string
		framing http1.Framing
		length  int64
		close   bool
	}{
		{"GET / HTTP/1.1\r\n" + host + "\r\n", http1.None, 0, false},
		{"GET / HTTP/1.1\r\n" + host + "Connection: Keep-Alive, CLOSE\r\n\r\n", http1.None, 0, true},
		{"POST / HTTP/1.1\r\n" + host + "content-length:\t12 \r\n\r\n", http1.Length, 12, false},
		{"POST / HTTP/1.1\r\n" + host + "TRANSFER-ENCODING: Chunked\r\n\r\n", http1.Chunked, 0, false},
		{"DELETE / HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n", http1.None, 0, false},
		{"GET /\xc3\xa9?%zz HTTP/1.1\r\n" + host + "X: \xe9\tb\r\n\r\n", http1.None, 0, false},
		{"OPTIONS * HTTP/1.1\r\n" + host + "\r\n", http1.None, 0, false},
		{"GET http://app.test/x HTTP/1.1\r\n" + host + "\r\n", http1.None, 0, false},
	} {
		var r http1.Request
		if err := r.Parse([]byte(c.head), limits); err != nil {
			t.Errorf("%q: %v", c.head, err)
			continue
		}
		if r.Framing != c.framing || r.Length != c.length || r.Close != c.close || string(r.Host) != "app.test" {
			t.Errorf("%q: %+v", c.head, r)
		}
	}
}

func TestRequestIsWrittenAnew(t *testing.T) {
	head := "POST /a%2Fb?x HTTP/1.1\r\nx-first:  kept  as is\t\r\n" + host + "Connection: X-Hop, keep-alive\r\nX-HOP: 1\r\nCookie: a=b\r\n" +
		"TE: gzip, trailers\r\nContent-Length: 007\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nHTTP2-Settings: x\r\nCookie: c=d\r\nDrop-Me: 1\r\n\r\n"
	var r http1.Request
	if err := r.Parse([]byte(head), limits); err != nil {
		t.Fatal(err)
	}
	keep := func(l *http1.Line) bool { return string(l.Name) != "Drop-Me" }
	got := string(r.Append(nil, http1.RequestEdit{Keep: keep, Extra: []byte("X-Forwarded-For: 1\r\n")}))
	want := "POST /a%2Fb?x HTTP/1.1\r\nx-first:  kept  as is\t\r\n" + host + "Cookie: a=b\r\nContent-Length: 7\r\nCookie: c=d\r\n" +
		"TE: trailers\r\nX-Forwarded-For: 1\r\n\r\n"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := string(r.Append(nil, http1.RequestEdit{Host: []byte("other")})); !strings.Contains(got, "Host: other\r\n") || strings.Contains(got, "app.test") {
		t.Errorf("got %q", got)
	}
	if err := r.Parse([]byte("PUT / HTTP/1.1\r\n"+host+"\r\n"), limits); err != nil {
		t.Fatal(err)
	}
	if got := string(r.Append(nil, http1.RequestEdit{})); got != "PUT / HTTP/1.1\r\n"+host+"Content-Length: 0\r\n\r\n" {
		t.Errorf("got %q", got)
	}
}

func TestEndOfAHead(t *testing.T) {
	for text, want := range map[string]int{
		"":                              -1,
		"GET / HTTP/1.1\r\n":            -1,
		"GET / HTTP/1.1\r\n\r":          -1,
		"GET / HTTP/1.1\r\n\r\nmore":    18,
		"GET / HTTP/1.1\nA: b\n\nmore":  21,
		"GET / HTTP/1.1\r\nA: b\n\r\nx": 23,
		"\r\n\r\n":                      4,
	} {
		if got := http1.End([]byte(text), 0); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
		for cut := range len(text) { // piece by piece
			if got := http1.End([]byte(text[:cut]), 0); got >= 0 && got != want {
				t.Errorf("%q: %d", text[:cut], got)
			} else if got < 0 && http1.End([]byte(text), cut) != want {
				t.Errorf("%q from %d: %d", text, cut, http1.End([]byte(text), cut))
			}
		}
	}
}
