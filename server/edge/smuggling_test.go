package edge_test

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// garden is requests that two parsers could read in two ways.
var garden = map[string]struct {
	request string
	refused bool // else it must arrive as one request
}{
	"CL.TE":                   {"POST / HTTP/1.1\r\nHost: H\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
	"TE.CL":                   {"POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n", true},
	"TE.TE":                   {"POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", true},
	"unknown coding":          {"POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", true},
	"coding list":             {"POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", true},
	"blank before colon":      {"POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", true},
	"two lengths":             {"POST / HTTP/1.1\r\nHost: H\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", true},
	"signed length":           {"POST / HTTP/1.1\r\nHost: H\r\nContent-Length: +5\r\n\r\nhello", true},
	"length list":             {"POST / HTTP/1.1\r\nHost: H\r\nContent-Length: 5, 6\r\n\r\nhello", true},
	"two hosts":               {"GET / HTTP/1.1\r\nHost: H\r\nHost: evil.test\r\n\r\n", true},
	"no host":                 {"GET / HTTP/1.1\r\n\r\n", true},
	"host with user":          {"GET / HTTP/1.1\r\nHost: evil@H\r\n\r\n", true},
	"host with path":          {"GET / HTTP/1.1\r\nHost: H/x\r\n\r\n", true},
	"wildcard host":           {"GET / HTTP/1.1\r\nHost: *.test\r\n\r\n", true},
	"host with blank":         {"GET / HTTP/1.1\r\nHost: H x\r\n\r\n", true},
	"bad port":                {"GET / HTTP/1.1\r\nHost: H:99999\r\n\r\n", true},
	"chunk size of two bases": {"POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", true},
	"bare LF in chunk":        {"POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", true},
	"chunk too long":          {"POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n", true},
	"chunk extension":         {"POST / HTTP/1.1\r\nHost: H\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n", false},
	"obs-fold":                {"GET / HTTP/1.1\r\nHost: H\r\nX-A: b\r\n Content-Length: 5\r\n\r\n", false},
	"fold first":              {"GET / HTTP/1.1\r\n Host: H\r\n\r\n", true},
	"NUL in value":            {"GET / HTTP/1.1\r\nHost: H\r\nX-A: b\x00c\r\n\r\n", true},
	"CR in value":             {"GET / HTTP/1.1\r\nHost: H\r\nX-A: b\rc\r\n\r\n", true},
	"HTTP/1.0 with TE":        {"POST / HTTP/1.0\r\nHost: H\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", false},
	"HTTP/0.9":                {"GET /\r\n\r\n", true},
	"HTTP/2 by hand":          {"GET / HTTP/2.0\r\nHost: H\r\n\r\n", true},
	"fragment":                {"GET /#x HTTP/1.1\r\nHost: H\r\n\r\n", true},
	"CONNECT":                 {"CONNECT H:443 HTTP/1.1\r\nHost: H\r\n\r\n", true},
	"asterisk":                {"GET * HTTP/1.1\r\nHost: H\r\n\r\n", true},
	"authority as target":     {"GET H:80 HTTP/1.1\r\nHost: H\r\n\r\n", true},
}

// B2 "request smuggling": whatever two parsers could read in two ways is refused, or
// reaches the service in one reading, written anew. In no case does the service see
// the hidden request.
func TestSmugglingGarden(t *testing.T) {
	for name, c := range garden {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			arrived := make(chan string, 8)
			s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				if err == nil {
					arrived <- r.URL.Path + strings.Join(r.TransferEncoding, ",") + r.Header.Get("Content-Length")
				}
			}))
			conn := s.dial(s.http)
			_, err := io.WriteString(conn, strings.ReplaceAll(c.request, "H\r\n", "app."+domain+"\r\n"))
			must(t, err)
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			must(t, err)
			switch {
			case c.refused && (response.StatusCode < 400 || len(arrived) > 0):
				t.Errorf("not refused: %d, %d requests arrived", response.StatusCode, len(arrived))
			case c.refused && !response.Close && response.ContentLength != 0 && !strings.HasPrefix(c.request, "GET") && !strings.HasPrefix(c.request, "CONNECT"):
				t.Errorf("%d, but the connection goes on", response.StatusCode)
			case !c.refused && (response.StatusCode != 200 || len(arrived) != 1):
				t.Errorf("%d, %d requests arrived", response.StatusCode, len(arrived))
			}
		})
	}
}

// What follows a request whose framing broke is never read as a request.
func TestNothingFollowsABrokenBody(t *testing.T) {
	const hidden = "GET /hidden HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n"
	for name, request := range map[string]string{
		"broken chunk":     "POST / HTTP/1.1\r\nHost: app." + domain + "\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhelloo\r\n",
		"CL.TE":            "POST / HTTP/1.1\r\nHost: app." + domain + "\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"broken size":      "POST / HTTP/1.1\r\nHost: app." + domain + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.0 with TE": "POST / HTTP/1.0\r\nHost: app." + domain + "\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n",
		"unread body":      "POST /early HTTP/1.1\r\nHost: early." + domain + "\r\nContent-Length: 1000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/hidden" {
					t.Error("the hidden request arrived")
				}
				_, _ = io.Copy(io.Discard, r.Body)
			}))
			s.serve("http://early."+domain, rawUpstream(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")))
			conn := s.dial(s.http)
			_, err := io.WriteString(conn, request+hidden)
			must(t, err)
			reader := bufio.NewReader(conn)
			response, err := http.ReadResponse(reader, nil)
			must(t, err)
			_, _ = io.Copy(io.Discard, response.Body)
			if !response.Close {
				t.Errorf("%d, and the connection goes on", response.StatusCode)
			}
			must(t, conn.CloseWrite())
			if second, err := http.ReadResponse(reader, nil); err == nil {
				t.Errorf("a second answer: %d", second.StatusCode)
			}
		})
	}
}
