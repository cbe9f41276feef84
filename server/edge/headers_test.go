package edge_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// headerSite has one endpoint on both schemes whose service tells the header it saw.
func headerSite(t *testing.T, change ...func(*config)) (*site, func() http.Header) {
	s := start(t, change...)
	seen := make(chan http.Header, 1)
	addr := s.upstream(func(w http.ResponseWriter, r *http.Request) {
		h := r.Header.Clone()
		h.Set("Host", r.Host)
		seen <- h
	})
	s.serve("https://app."+domain, addr)
	s.serve("http://app."+domain, addr)
	return s, func() http.Header { return <-seen }
}

const forwardedLies = "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: gopher\r\nX-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\n" +
	"X-Forwarded-Uri: /admin\r\nX-Forwarded-Prefix: /p\r\nX-Forwarded-Ssl: on\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n" +
	"X-Original-Host: evil\r\nPostern-Request-Id: req_x\r\n"

// B2 "X-Forwarded-*/Forwarded/X-Real-IP spoof": a stranger's are replaced. S2-12.
func TestStrangersForwardedHeadersAreReplaced(t *testing.T) {
	s, seen := headerSite(t)
	s.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\n" + forwardedLies + "\r\n")
	h := seen()
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "app." + domain, "X-Forwarded-Port": "8080",
		"X-Forwarded-Uri": "", "X-Forwarded-Prefix": "", "X-Forwarded-Ssl": "", "Forwarded": "", "X-Real-Ip": "",
		"X-Original-Host": "", "Postern-Request-Id": "",
	} {
		if got := strings.Join(h[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	get(t, s.client("h2"), "https://app."+domain)
	if h := seen(); h.Get("X-Forwarded-Proto") != "https" || h.Get("X-Forwarded-Port") != "8443" {
		t.Errorf("over TLS: %v", h)
	}
}

// A trusted proxy's are kept, and the proxy itself is added.
func TestTrustedProxysForwardedHeadersAreKept(t *testing.T) {
	s, seen := headerSite(t, trustLoopback)
	s.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\n" + forwardedLies + "X_Forwarded_For: 7.7.7.7\r\n\r\n")
	h := seen()
	for name, want := range map[string]string{
		"X-Forwarded-For": "6.6.6.6, 127.0.0.1", "X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "evil",
		"X-Forwarded-Uri": "/admin", "Forwarded": "for=6.6.6.6", "X-Real-Ip": "6.6.6.6", "X_forwarded_for": "", "Postern-Request-Id": "",
	} {
		if got := strings.Join(h[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// B2 "header aliasing": names that some servers fold onto trusted or framing ones are
// dropped; others with the same characters pass.
func TestAliasesOfTrustedHeadersAreDropped(t *testing.T) {
	s, seen := headerSite(t)
	aliases := []string{"X_Forwarded_For", "x-forwarded_for", "X.Forwarded.For", "X_Forwarded-Proto", "X_Real_IP", "X_ORIGINAL_HOST",
		"Postern_Request_Id", "Transfer_Encoding", "Content_Length", "Content.Length", "X_Forwarded_Anything"}
	kept := []string{"X_Auth_User", "My_Header", "X.Y"}
	var request strings.Builder
	request.WriteString("GET / HTTP/1.1\r\nHost: app." + domain + "\r\n")
	for _, name := range slices.Concat(aliases, kept) {
		request.WriteString(name + ": evil\r\n")
	}
	s.raw(request.String() + "\r\n")
	h := seen()
	for name, values := range h {
		alias := slices.ContainsFunc(aliases, func(a string) bool { return strings.EqualFold(a, name) })
		if alias && slices.Contains(values, "evil") {
			t.Errorf("%s passed", name)
		}
	}
	for _, name := range kept {
		if len(h[http.CanonicalHeaderKey(name)]) == 0 {
			t.Errorf("%s was dropped", name)
		}
	}
}

// B2 "hop-by-hop abuse": what a visitor lists in Connection cannot remove our words.
func TestConnectionCannotRemoveTrustedHeaders(t *testing.T) {
	s, seen := headerSite(t)
	s.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\nConnection: close, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Mine\r\n" +
		"X-Mine: 1\r\nKeep-Alive: 5\r\nProxy-Connection: keep-alive\r\nTE: trailers, gzip\r\nProxy-Authorization: Basic eA==\r\n\r\n")
	h := seen()
	for name, want := range map[string]string{"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "http", "X-Forwarded-Host": "app." + domain,
		"X-Mine": "", "Keep-Alive": "", "Proxy-Connection": "", "Te": "trailers", "Proxy-Authorization": ""} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// S2-15: what the app reads is what the visitor sent.
func TestOtherHeadersPassByteForByte(t *testing.T) {
	s, seen := headerSite(t)
	token := "Bearer  eyJhbGciOi.J9==\t;\"x\" \xe9"
	s.raw("GET / HTTP/1.1\r\nHost: App." + domain + ":8080\r\nAuthorization: " + token + "\r\nCookie: a=b; c=d\r\nAccept: x\r\nAccept: y\r\n\r\n")
	h := seen()
	if got := h.Get("Authorization"); got != token {
		t.Errorf("Authorization: %q, want %q", got, token)
	}
	if got := strings.Join(h["Accept"], "|"); got != "x|y" {
		t.Errorf("Accept: %q", got)
	}
	if _, added := h["User-Agent"]; added {
		t.Errorf("User-Agent was added: %q", h["User-Agent"])
	}
	if _, added := h["Accept-Encoding"]; added {
		t.Errorf("Accept-Encoding was added: %q", h["Accept-Encoding"])
	}
	// S2-13, S0-50: names compare without case and port; the service gets what was sent.
	if got := h.Get("Host"); got != "App."+domain+":8080" {
		t.Errorf("Host: %q", got)
	}
}

// S0-43: a rewritten Host tells the original one, in both of ngrok's ways.
func TestHostHeaderRewrite(t *testing.T) {
	s := start(t)
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host+" "+r.Header.Get("X-Original-Host")+" "+r.Header.Get("X-Forwarded-Host"))
	}), func(m *member) { m.options.HostHeader = "internal.example:81" })
	for _, protocol := range []string{"http/1.1", "h2"} {
		if _, got := get(t, s.client(protocol), "https://app."+domain); got != "internal.example:81 app."+domain+" app."+domain {
			t.Errorf("got %q", got)
		}
	}
}

func TestAnswersAreNotDecorated(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, rawUpstream(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-A: 1\r\nX-A: 2\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"+
		"Keep-Alive: timeout=5\r\nDate: then\r\n\r\n<html>")))
	response := s.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n")
	if got := body(t, response); got != "<html>" {
		t.Errorf("body %q", got)
	}
	h := response.Header
	if len(h["X-A"]) != 2 || h.Get("Date") != "then" || h.Get("X-Hop") != "" || h.Get("Keep-Alive") != "" || h.Get("Content-Type") != "" || h.Get("Server") != "" {
		t.Errorf("header %v", h)
	}
}

// B2 "HTTP/2 bomb": a cap on the number of lines beside the one on bytes.
func TestTooManyHeaderLines(t *testing.T) {
	s, _ := headerSite(t, func(c *config) { c.Limits.HeaderCount = 20 })
	response := s.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\n" + strings.Repeat("A: b\r\n", 21) + "\r\n")
	if response.StatusCode != 431 || response.Header.Get("Postern-Error-Code") != "ERR_POSTERN_305" {
		t.Errorf("got %d %v", response.StatusCode, response.Header)
	}
	response = s.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\nBig: " + strings.Repeat("x", 40<<10) + "\r\n\r\n")
	if response.StatusCode != 431 {
		t.Errorf("40 KiB of header: %d", response.StatusCode)
	}
}

// answer reads one request's head and writes what it is told.
func answer(text string) func(*net.TCPConn) {
	return func(conn *net.TCPConn) {
		_, _ = http.ReadRequest(bufio.NewReader(conn))
		_, _ = io.WriteString(conn, text)
	}
}
