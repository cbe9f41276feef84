package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// ask sends one request on a connection and reads its answer.
func ask(t *testing.T, conn net.Conn, answers *bufio.Reader, text string) (*http.Response, string) {
	t.Helper()
	say(t, conn, text)
	response, err := http.ReadResponse(answers, nil)
	must(t, err)
	return response, body(t, response)
}

// Requests that were sent ahead are answered one after the other, whatever their
// bodies, and none sees bytes of another.
func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, b)
	}))
	const head = " HTTP/1.1\r\nHost: app." + domain + "\r\n"
	requests := "GET /1" + head + "\r\n" +
		"POST /2" + head + "Content-Length: 3\r\n\r\nabc" +
		"PUT /3" + head + "Transfer-Encoding: chunked\r\n\r\n3;x\r\nd\r\n\r\n2\r\nfg\r\n0\r\nX-T: 1\r\n\r\n" +
		"POST /4" + head + "Content-Length: 20000\r\n\r\n" + strings.Repeat("x", 20000) +
		"DELETE /5" + head + "\r\n"
	want := []string{"GET /1 ", "POST /2 abc", "PUT /3 d\r\nfg", "POST /4 " + strings.Repeat("x", 20000), "DELETE /5 "}
	for _, piece := range []int{1 << 20, 700, 13} {
		conn := s.dial(s.http)
		go func() {
			for rest := requests; rest != ""; {
				n := min(piece, len(rest))
				_, _ = io.WriteString(conn, rest[:n])
				rest = rest[n:]
			}
		}()
		answers := bufio.NewReader(conn)
		for _, text := range want {
			response, err := http.ReadResponse(answers, nil)
			must(t, err)
			if got := body(t, response); got != text {
				t.Errorf("in pieces of %d: got %.40q, want %.40q", piece, got, text)
			}
		}
	}
}

// B2 "upgrade smuggling": a connection that the relay has served goes over to
// net/http for what only that can do, with every byte that came ahead.
func TestServedConnectionCanBeUpgraded(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			_, _ = io.WriteString(w, r.URL.Path)
			return
		}
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "chat")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = io.Copy(conn, buffered)
	}))
	conn := s.dial(s.http)
	answers := bufio.NewReader(conn)
	const host = "Host: app." + domain + "\r\n"
	if _, got := ask(t, conn, answers, "GET /one HTTP/1.1\r\n"+host+"\r\n"); got != "/one" {
		t.Errorf("got %q", got)
	}
	say(t, conn, "GET /two HTTP/1.1\r\n"+host+"\r\nGET / HTTP/1.1\r\n"+host+"Connection: Upgrade\r\nUpgrade: chat\r\n\r\nahead")
	response, err := http.ReadResponse(answers, nil)
	must(t, err)
	if got := body(t, response); got != "/two" {
		t.Errorf("got %q", got)
	}
	response, err = http.ReadResponse(answers, nil)
	must(t, err)
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %d", response.StatusCode)
	}
	must(t, conn.CloseWrite())
	if rest, err := io.ReadAll(answers); string(rest) != "ahead" {
		t.Errorf("got %q %v", rest, err)
	}
}

// dying is a service each of whose connections answers one request and breaks off at
// the second.
func dying(t *testing.T, seen *atomic.Int64) string {
	return rawUpstream(t, func(conn *net.TCPConn) {
		reader := bufio.NewReader(conn)
		for n := range 2 {
			r, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			seen.Add(1)
			if n == 0 {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		}
	})
}

// A kept connection may die just when it is used. What only asks is sent again, once;
// what may have changed something is not.
func TestKeptConnectionThatDies(t *testing.T) {
	for _, c := range []struct {
		request string
		status  int
		seen    int64
	}{
		{"GET / HTTP/1.1\r\n", 200, 3},
		{"OPTIONS * HTTP/1.1\r\n", 200, 3},
		{"POST / HTTP/1.1\r\nContent-Length: 2\r\n", 502, 2},
		{"DELETE / HTTP/1.1\r\n", 502, 2},
		{"GET / HTTP/1.1\r\nContent-Length: 2\r\n", 502, 2},
	} {
		s := start(t)
		var seen atomic.Int64
		s.serve("http://app."+domain, dying(t, &seen))
		conn := s.dial(s.http)
		answers := bufio.NewReader(conn)
		ask(t, conn, answers, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
		text := c.request + "Host: app." + domain + "\r\n\r\n"
		if strings.Contains(text, "Length") {
			text += "ab"
		}
		if response, _ := ask(t, conn, answers, text); response.StatusCode != c.status || seen.Load() != c.seen {
			t.Errorf("%q: %d, and the service saw %d requests", c.request, response.StatusCode, seen.Load())
		}
	}
}

// A service closes connections that it finds idle for too long: this is noticed before
// the next request meets it, and our half is closed as well.
func TestServiceThatClosesIdleConnections(t *testing.T) {
	s := start(t)
	var open, served atomic.Int64
	s.serve("http://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		answer("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")(conn)
		open.Add(1)
		_ = conn.CloseWrite()
		served.Add(1)
		_, _ = io.Copy(io.Discard, conn) // until the edge closes too
		open.Add(-1)
	}))
	for n := range int64(3) {
		response, err := s.client("http/1.1").Post("http://app."+domain, "text/plain", strings.NewReader("x"))
		must(t, err)
		if got := body(t, response); got != "ok" {
			t.Errorf("got %d %q", response.StatusCode, got)
		}
		eventually(t, "the service has closed", func() bool { return served.Load() == n+1 })
	}
	eventually(t, "its connections are closed", func() bool { return open.Load() == 0 })
}

// A body that ends with the service's connection is chunked for the visitor, who can
// then use his own again.
func TestBodyThatEndsWithItsConnection(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, rawUpstream(t, answer("HTTP/1.0 200 OK\nX-A: b\n\n"+strings.Repeat("hello", 10000))))
	conn := s.dial(s.http)
	answers := bufio.NewReader(conn)
	for range 2 {
		response, got := ask(t, conn, answers, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
		if len(got) != 50000 || response.ContentLength != -1 || response.Close || response.Header.Get("X-A") != "b" || response.Header.Get("Date") == "" {
			t.Errorf("%d bytes, %v", len(got), response)
		}
	}
}

// The service gets the visitor's lines byte for byte, in their order and case; ours
// come last.
func TestLinesKeepTheirBytes(t *testing.T) {
	if *netHTTPOnly {
		return // which sorts them, and writes names its own way
	}
	s := start(t)
	heads := make(chan string, 1)
	s.serve("http://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		reader := bufio.NewReader(conn)
		head := ""
		for !strings.HasSuffix(head, "\r\n\r\n") {
			line, err := reader.ReadString('\n')
			if err != nil {
				return
			}
			head += line
		}
		heads <- head
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\n\r\n")
	}))
	conn := s.dial(s.http)
	ask(t, conn, bufio.NewReader(conn), "GET /x?y HTTP/1.1\r\nx-b:  two \r\nHOST: app."+domain+"\r\nX-A: one\r\nConnection: keep-alive\r\n\r\n")
	want := "GET /x?y HTTP/1.1\r\nx-b:  two \r\nHOST: app." + domain + "\r\nX-A: one\r\n" +
		"X-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: app." + domain + "\r\nX-Forwarded-Port: 8080\r\n\r\n"
	if got := <-heads; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// B5-12: the service's time for its answer is limited also where a visitor has sent so
// far ahead that nobody reads him any more.
func TestVisitorWhoSendsFarAhead(t *testing.T) {
	s := start(t, func(c *config) { c.Timeouts.ResponseHeader = 400 * time.Millisecond })
	s.serve("http://app."+domain, rawUpstream(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }))
	conn := s.dial(s.http)
	request := "GET / HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n"
	say(t, conn, strings.Repeat(request, 300))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	if response.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("got %d", response.StatusCode)
	}
}

// B5-15: events that come seldom are waited for; that the visitor has left is noticed
// meanwhile.
func TestVisitorWhoLeavesAQuietStream(t *testing.T) {
	s := start(t)
	left := make(chan struct{})
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(left)
	}))
	conn := s.dialTLS("app."+domain, "http/1.1")
	say(t, conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
	_, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	began := time.Now()
	conn.Close()
	<-left
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %s", took)
	}
}

// Requests that nobody can understand get a page with a code, and the connection ends.
func TestMalformedRequestsGetAPage(t *testing.T) {
	if *netHTTPOnly {
		return // net/http answers by itself
	}
	s := start(t)
	for name, text := range map[string]string{
		"no protocol": "GET /\r\n\r\n",
		"bare LF":     "GET / HTTP/1.1\nHost: app." + domain + "\n\n",
		"two lengths": "POST / HTTP/1.1\r\nHost: app." + domain + "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
	} {
		response := s.raw(text)
		if response.StatusCode != 400 || response.Header.Get("Postern-Error-Code") != "ERR_POSTERN_301" || !response.Close {
			t.Errorf("%s: %d %v", name, response.StatusCode, response.Header)
		}
	}
}
