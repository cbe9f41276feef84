package edge_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
)

// S0-28: method, body and content type reach the service, and its answer the visitor.
func TestRequestsPass(t *testing.T) {
	s := start(t)
	addr := s.upstream(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Method+" "+r.RequestURI+" "+r.Host+" "+r.Header.Get("Content-Type"))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(b)
	})
	s.serve("https://app."+domain, addr)
	s.serve("http://app."+domain, addr)
	for _, c := range []struct{ scheme, protocol, proto string }{
		{"https", "http/1.1", "HTTP/1.1"}, {"https", "h2", "HTTP/2.0"}, {"http", "http/1.1", "HTTP/1.1"},
	} {
		t.Run(c.scheme+" "+c.proto, func(t *testing.T) {
			client := s.client(c.protocol)
			for range 2 {
				response, err := client.Post(c.scheme+"://app."+domain+"/a%2Fb?x=1&y", "application/json", strings.NewReader(`{"firstName": "Test"}`))
				must(t, err)
				if got := body(t, response); got != `{"firstName": "Test"}` || response.StatusCode != 201 || response.Proto != c.proto {
					t.Errorf("got %s %d %q", response.Proto, response.StatusCode, got)
				}
				if got, want := response.Header.Get("X-Seen"), "POST /a%2Fb?x=1&y app."+domain+" application/json"; got != want {
					t.Errorf("the service saw %q, want %q", got, want)
				}
			}
		})
	}
}

func TestUpstreamConnectionsAreReused(t *testing.T) {
	s := start(t)
	m := s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	}))
	for range 5 {
		client := s.client("http/1.1")
		response, err := client.Post("https://app."+domain, "text/plain", strings.NewReader("hello"))
		must(t, err)
		if got := body(t, response); got != "hello" {
			t.Fatalf("got %q", got)
		}
		client.CloseIdleConnections()
	}
	if n := m.opened.Load(); n != 1 {
		t.Errorf("%d streams for 5 requests of one agent", n)
	}
	eventually(t, "nothing is busy", func() bool { return m.busy.Load() == 0 })
}

// An SDK shows its application the visitor's address as the connection's, so its
// streams serve one address; with PROXY protocol they serve one connection.
func TestStreamsOfSDKsAreNotShared(t *testing.T) {
	s := start(t, trustLoopback)
	addr := s.upstream(func(w http.ResponseWriter, r *http.Request) {})
	sdk := s.serve("https://sdk."+domain, addr, func(m *member) { m.wire = "ngrok/2" })
	for range 3 {
		get(t, s.client("http/1.1"), "https://sdk."+domain)
	}
	if n := sdk.opened.Load(); n != 1 {
		t.Errorf("%d streams for one address", n)
	}
}

func TestTargetIsKeptByteForByte(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RequestURI)
	}))
	for _, target := range []string{
		"/", "/a//b", "//double", "/a|b", "/%7Euser", "/%2e%2e/x", "/../x", "/a\\b", "/?", "/?a=1;b=2", "/x?q=%zz", "/\xc3\xa9",
		"/a:b@c", "/'(x)'", "/%2F%2f",
	} {
		response := s.raw("GET " + target + " HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n")
		if got := body(t, response); got != target {
			t.Errorf("sent %q, the service saw %q (%d)", target, got, response.StatusCode)
		}
	}
	// The absolute form is for proxies; the service is not one.
	response := s.raw("GET http://app." + domain + "/p?q HTTP/1.1\r\nHost: evil.test\r\n\r\n")
	if got := body(t, response); got != "/p?q" {
		t.Errorf("absolute form: the service saw %q", got)
	}
	if got := body(t, s.raw("OPTIONS * HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")); got != "*" {
		t.Errorf("OPTIONS *: the service saw %q", got)
	}
}

func TestServerSentEventsArriveAtOnce(t *testing.T) {
	s := start(t)
	next := make(chan struct{})
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		flush := http.NewResponseController(w).Flush
		_ = flush()
		for i := range 3 {
			<-next
			_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
			_ = flush()
		}
	}))
	for _, protocol := range []string{"http/1.1", "h2"} {
		response, err := s.client(protocol).Get("https://app." + domain)
		must(t, err)
		lines := bufio.NewReader(response.Body)
		for i := range 3 {
			next <- struct{}{}
			line, err := lines.ReadString('\n')
			must(t, err)
			if want := fmt.Sprintf("data: %d\n", i); line != want {
				t.Errorf("got %q, want %q", line, want)
			}
			_, err = lines.ReadString('\n')
			must(t, err)
		}
		response.Body.Close()
	}
}

// A body of declared length that comes in pieces is passed on in pieces.
func TestSlowBodyOfKnownLengthIsNotHeldBack(t *testing.T) {
	s := start(t)
	next := make(chan struct{})
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "4")
		_, _ = io.WriteString(w, "ab")
		_ = http.NewResponseController(w).Flush()
		<-next
		_, _ = io.WriteString(w, "cd")
	}))
	response, err := s.client("http/1.1").Get("https://app." + domain)
	must(t, err)
	var half [2]byte
	_, err = io.ReadFull(response.Body, half[:])
	must(t, err)
	close(next)
	if rest := body(t, response); rest != "cd" {
		t.Errorf("then %q", rest)
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	s := start(t)
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Announced")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("X-Announced", r.Trailer.Get("X-Sum")+"/"+r.Trailer.Get("X-Forwarded-For"))
		w.Header().Set(http.TrailerPrefix+"X-Sudden", "yes")
	}))
	for _, protocol := range []string{"http/1.1", "h2"} {
		request, err := http.NewRequest(http.MethodPost, "https://app."+domain, struct{ io.Reader }{strings.NewReader("body")})
		must(t, err)
		request.Trailer = http.Header{"X-Sum": {"42"}, "X-Forwarded-For": {"6.6.6.6"}}
		response, err := s.client(protocol).Do(request)
		must(t, err)
		if got := body(t, response); got != "body" {
			t.Errorf("%s: body %q", protocol, got)
		}
		if got := response.Trailer.Get("X-Announced"); got != "42/" {
			t.Errorf("%s: announced trailer %q", protocol, got)
		}
		if got := response.Trailer.Get("X-Sudden"); got != "yes" {
			t.Errorf("%s: unannounced trailer %q in %v", protocol, got, response.Trailer)
		}
	}
}

func TestInterimAnswersPass(t *testing.T) {
	s := start(t)
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.WriteHeader(http.StatusNoContent)
	}))
	for _, protocol := range []string{"http/1.1", "h2"} {
		var hint string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hint = fmt.Sprint(code, h.Get("Link"))
			return nil
		}}
		request, err := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), http.MethodGet, "https://app."+domain, nil)
		must(t, err)
		response, err := s.client(protocol).Do(request)
		must(t, err)
		response.Body.Close()
		if hint != "103</style.css>; rel=preload" || response.StatusCode != 204 || response.Header.Get("Link") != "" {
			t.Errorf("%s: hint %q, then %d %v", protocol, hint, response.StatusCode, response.Header)
		}
	}
}

// The service decides about Expect: 100-continue; a refusal comes without the body.
func TestExpectContinueIsTheServices(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.Copy(w, r.Body)
	}))
	conn := s.dial(s.http)
	answers := bufio.NewReader(conn)
	_, err := io.WriteString(conn, "POST /take HTTP/1.1\r\nHost: app."+domain+"\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	must(t, err)
	line, err := answers.ReadString('\n')
	must(t, err)
	if !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		t.Fatalf("got %q before the body", line)
	}
	_, err = answers.ReadString('\n')
	must(t, err)
	_, err = io.WriteString(conn, "hello")
	must(t, err)
	response, err := http.ReadResponse(answers, nil)
	must(t, err)
	if got := body(t, response); got != "hello" || response.StatusCode != 200 {
		t.Errorf("got %d %q", response.StatusCode, got)
	}

	refused := s.raw("POST /refuse HTTP/1.1\r\nHost: app." + domain + "\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
	if refused.StatusCode != 401 || !refused.Close {
		t.Errorf("refusal: %d, close %v", refused.StatusCode, refused.Close)
	}
}

func TestAnotherMemberIsTriedWhenNothingWasSent(t *testing.T) {
	s := start(t)
	good := newMember(s.upstream(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	lost, draining := newMember(""), newMember("")
	lost.refuse, draining.refuse = &postern.Error{Code: postern.CodeLinkLost}, &postern.Error{Code: postern.CodeLinkDraining}
	s.pool("https://app."+domain, lost, draining, good)
	for range 4 {
		response, err := s.client("http/1.1").Post("https://app."+domain, "text/plain", strings.NewReader("once"))
		must(t, err)
		if got := body(t, response); got != "once" {
			t.Errorf("got %d %q", response.StatusCode, got)
		}
	}
	if lost.bad.Load() == 0 || good.bad.Load() != 0 {
		t.Errorf("health: lost %d, good %d", lost.bad.Load(), good.bad.Load())
	}
}

// A request that the service may have seen is not sent twice.
func TestNothingIsSentTwice(t *testing.T) {
	s := start(t)
	seen := make(chan string, 8)
	addr := rawUpstream(t, func(conn *net.TCPConn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil {
			seen <- r.Method
		}
		_ = conn.SetLinger(0)
	})
	s.pool("https://app."+domain, newMember(addr), newMember(addr))
	response, err := s.client("http/1.1").Post("https://app."+domain, "text/plain", strings.NewReader("once"))
	must(t, err)
	response.Body.Close()
	if response.StatusCode != 502 || len(seen) != 1 {
		t.Errorf("%d; the service was asked %d times", response.StatusCode, len(seen))
	}
}

func TestUpstreamFailuresHaveCodes(t *testing.T) {
	s := start(t, func(c *config) { c.Timeouts.ResponseHeader = 2 * time.Second })
	s.serve("https://refused."+domain, "127.0.0.1:1")
	s.serve("https://garbage."+domain, rawUpstream(t, func(c *net.TCPConn) { _, _ = io.WriteString(c, "SSH-2.0-x\r\n") }))
	s.serve("https://silent."+domain, rawUpstream(t, func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }))
	s.serve("https://full."+domain, "", func(m *member) { m.refuse = &postern.Error{Code: postern.CodeStreamLimit} })
	for host, want := range map[string]struct {
		status int
		code   string
	}{
		"refused": {502, "ERR_NGROK_8012"},  // B5-14
		"garbage": {502, "ERR_NGROK_3004"},  //
		"silent":  {504, "ERR_POSTERN_303"}, // B5-12
		"full":    {503, "ERR_POSTERN_105"}, //
		"nobody":  {404, "ERR_NGROK_3200"},  //
	} {
		response, text := get(t, s.client("http/1.1"), "https://"+host+"."+domain)
		code := either(response.Header.Get("Postern-Error-Code"), response.Header.Get("Ngrok-Error-Code"))
		if response.StatusCode != want.status || code != want.code {
			t.Errorf("%s: %d %s, want %v", host, response.StatusCode, code, want)
		}
		if strings.Contains(text, "10.1.2.3") {
			t.Errorf("%s: the page names a private address: %s", host, text)
		}
	}
}

func either(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestHeadAndEmptyAnswers(t *testing.T) {
	s := start(t)
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/head":
			w.Header().Set("Content-Length", "1234")
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/same":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(http.StatusNotModified)
		}
	}))
	for _, protocol := range []string{"http/1.1", "h2"} {
		client := s.client(protocol)
		response, err := client.Head("https://app." + domain + "/head")
		must(t, err)
		if response.ContentLength != 1234 || body(t, response) != "" {
			t.Errorf("HEAD: length %d", response.ContentLength)
		}
		if response, text := get(t, client, "https://app."+domain+"/none"); response.StatusCode != 204 || text != "" {
			t.Errorf("204: %d %q", response.StatusCode, text)
		}
		if response, _ := get(t, client, "https://app."+domain+"/same"); response.StatusCode != 304 || response.Header.Get("Etag") != `"x"` {
			t.Errorf("304: %d", response.StatusCode)
		}
	}
}
