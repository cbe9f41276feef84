package edge_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A service can answer anything; the visitor gets a page that says whose fault it was.
func TestOddAnswersHaveACode(t *testing.T) {
	for name, text := range map[string]string{
		"status below 100": "HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
		"status 0":         "HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n",
		"two lengths":      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
		"CR in a value":    "HTTP/1.1 200 OK\r\nX-A: b\rSet-Cookie: c\r\nContent-Length: 0\r\n\r\n",
		"a head for ever":  "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 2<<20) + "\r\nContent-Length: 0\r\n\r\n",
		"1xx for ever":     strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 2000) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.serve("https://app."+domain, rawUpstream(t, answer(text)))
			for _, protocol := range []string{"http/1.1", "h2"} {
				if name == "1xx for ever" && protocol == "h2" {
					continue // Go's client gives up before we do
				}
				conn := s.dialTLS("app."+domain, protocol)
				if protocol == "h2" {
					response, err := s.connected(conn, protocol).Get("https://app." + domain)
					must(t, err)
					if body(t, response); response.StatusCode != 502 {
						t.Errorf("%s: %d", protocol, response.StatusCode)
					}
					continue
				}
				_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
				must(t, err)
				reader := bufio.NewReader(conn)
				response, err := http.ReadResponse(reader, nil)
				for err == nil && response.StatusCode < 200 {
					response, err = http.ReadResponse(reader, nil)
				}
				must(t, err)
				if body(t, response); response.StatusCode != 502 || response.Header.Get("Ngrok-Error-Code") == "" {
					t.Errorf("%s: %d %v", protocol, response.StatusCode, response.Header)
				}
			}
		})
	}
}

// Trailers cannot say what belongs into the head: a service or a visitor that folds
// them into it would believe them (RFC 9110 §6.5.1).
func TestTrailersCannotStandInForTheHead(t *testing.T) {
	s := start(t)
	arrived := make(chan string, 1)
	s.serve("http://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		names := ""
		for name := range r.Trailer {
			names += name + " "
		}
		arrived <- names
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Type, X-Sum\r\n\r\n"+
			"1\r\na\r\n0\r\nContent-Type: text/html\r\nCache-Control: public\r\nX-Sum: 1\r\n\r\n")
	}))
	conn := s.dial(s.http)
	_, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: app."+domain+"\r\nTrailer: Authorization, Host, X_Real_Ip, X-Sum\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nAuthorization: b\r\nHost: evil.test\r\nX_Real_Ip: 6.6.6.6\r\nX-Sum: 1\r\n\r\n")
	must(t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	body(t, response)
	if got := <-arrived; got != "X-Sum " {
		t.Errorf("the service got the trailers %q", got)
	}
	if len(response.Trailer) != 1 || response.Trailer.Get("X-Sum") != "1" {
		t.Errorf("the visitor got the trailers %v", response.Trailer)
	}
}
