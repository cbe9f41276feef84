package edge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
)

// converting is an endpoint whose service speaks plain TCP.
func (s *site) converting(url, addr string, change ...func(*member)) *member {
	s.t.Helper()
	return s.serve(url, addr, append(change, func(m *member) { m.options.WebSocketTCP = true })...)
}

func (s *site) socket(url string, options *websocket.DialOptions) (*websocket.Conn, *http.Response, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	s.t.Cleanup(cancel)
	if options == nil {
		options = new(websocket.DialOptions)
	}
	options.HTTPClient = s.client("http/1.1")
	conn, response, err := websocket.Dial(ctx, url, options)
	if err == nil {
		conn.SetReadLimit(-1)
		s.t.Cleanup(func() { _ = conn.CloseNow() })
	}
	return conn, response, err
}

// heard reads binary messages until they amount to so many bytes or the WebSocket ends.
func heard(t *testing.T, conn *websocket.Conn, most int) (string, websocket.StatusCode) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var text strings.Builder
	for text.Len() < most {
		kind, message, err := conn.Read(ctx)
		if err != nil {
			return text.String(), websocket.CloseStatus(err)
		}
		if kind != websocket.MessageBinary {
			t.Errorf("a message of the kind %v", kind)
		}
		text.Write(message)
	}
	return text.String(), -1
}

// Messages of both kinds become a stream for the service, and its bytes binary messages;
// closing goes through both ways.
func TestWebSocketsAsTCP(t *testing.T) {
	s := start(t)
	ended := make(chan string, 1)
	s.converting("https://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		_, _ = io.WriteString(conn, "220 at your service\n")
		all, err := io.ReadAll(conn)
		ended <- fmt.Sprint(string(all[:3]), len(all), err)
		_, _ = io.WriteString(conn, "bye")
	}), func(m *member) {
		m.policy = compiled(t, postern.HTTPS, `on_http_response: [{actions: [{type: add-headers, config: {headers: {x-added: "1"}}}]}]`)
	})
	conn, response, err := s.socket("wss://app."+domain+"/any/path", &websocket.DialOptions{Subprotocols: []string{"base64", "binary"}})
	must(t, err)
	if response.Header.Get("X-Added") != "1" || conn.Subprotocol() != "binary" {
		t.Errorf("%v, subprotocol %q", response.Header, conn.Subprotocol())
	}
	const greeting = "220 at your service\n"
	if got, _ := heard(t, conn, len(greeting)); got != greeting {
		t.Errorf("the service spoke first: %q", got)
	}
	must(t, conn.Write(t.Context(), websocket.MessageText, []byte("one")))
	must(t, conn.Write(t.Context(), websocket.MessageBinary, make([]byte, 200_000)))
	must(t, conn.Close(websocket.StatusNormalClosure, "done")) // the answer to it was awaited
	if got := <-ended; got != "one200003 <nil>" {
		t.Errorf("the service got %s", got)
	}

	// The service ends first.
	s.converting("https://brief."+domain, rawUpstream(t, func(conn *net.TCPConn) { _, _ = io.WriteString(conn, strings.Repeat("x", 100_000)) }))
	conn, _, err = s.socket("wss://brief."+domain, nil)
	must(t, err)
	if got, status := heard(t, conn, 1<<20); len(got) != 100_000 || status != websocket.StatusNormalClosure {
		t.Errorf("%d bytes, status %d", len(got), status)
	}
}

// Trouble on one side never looks like a clean end on the other.
func TestTroubleOfWebSocketsAsTCP(t *testing.T) {
	s := start(t)
	ended := make(chan error, 1)
	s.converting("https://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		_, err := io.Copy(io.Discard, conn)
		ended <- err
	}))
	conn, _, err := s.socket("wss://app."+domain, nil)
	must(t, err)
	must(t, conn.CloseNow()) // no close frame
	if err := <-ended; err == nil {
		t.Error("a visitor whose connection broke off has a clean end at the service")
	}
	conn, _, err = s.socket("wss://app."+domain, nil)
	must(t, err)
	_ = conn.Close(websocket.StatusInternalError, "trouble")
	if err := <-ended; err == nil {
		t.Error("a visitor who is in trouble has a clean end at the service")
	}
	s.converting("https://reset."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		_, _ = conn.Read(make([]byte, 1))
		_ = conn.SetLinger(0)
	}))
	conn, _, err = s.socket("wss://reset."+domain, nil)
	must(t, err)
	must(t, conn.Write(t.Context(), websocket.MessageBinary, []byte("x")))
	if _, status := heard(t, conn, 1); status == websocket.StatusNormalClosure || status == websocket.StatusGoingAway {
		t.Errorf("a service that broke off: status %d", status)
	}
}

// What is no WebSocket is refused with a code of its own, on every path, and before
// anything reaches the service; a policy is asked first.
func TestOnlyWebSocketsAreConverted(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		s := start(t, path)
		m := s.converting("https://app."+domain, rawUpstream(t, func(*net.TCPConn) { t.Error("reached") }), func(m *member) {
			m.policy = compiled(t, postern.HTTPS, `on_http_request: [{expressions: ["req.url.path == '/secret'"], actions: [{type: deny}]}]`)
		})
		for _, protocol := range protocols {
			for target, want := range map[string]int{"/": http.StatusUpgradeRequired, "/secret": http.StatusForbidden} {
				response, page := get(t, s.client(protocol), "https://app."+domain+target)
				if response.StatusCode != want || want == http.StatusUpgradeRequired && !strings.Contains(page, "ERR_POSTERN_313") {
					t.Errorf("%s over %s: %s %q", target, protocol, response.Status, page)
				}
			}
		}
		if _, response, err := s.socket("wss://app."+domain+"/secret", nil); err == nil || response.StatusCode != http.StatusForbidden {
			t.Errorf("a WebSocket that the policy denies: %v", err)
		}
		for name, c := range map[string]struct {
			change func(http.Header)
			status int
		}{
			"version":       {func(h http.Header) { h.Set("Sec-WebSocket-Version", "8") }, http.StatusUpgradeRequired},
			"no key":        {func(h http.Header) { h.Del("Sec-WebSocket-Key") }, http.StatusBadRequest},
			"a short key":   {func(h http.Header) { h.Set("Sec-WebSocket-Key", "AAAA") }, http.StatusBadRequest},
			"two keys":      {func(h http.Header) { h.Add("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==") }, http.StatusBadRequest},
			"another one":   {func(h http.Header) { h.Set("Upgrade", "chat") }, http.StatusUpgradeRequired},
			"no connection": {func(h http.Header) { h.Del("Connection") }, http.StatusUpgradeRequired},
		} {
			response, _ := get(t, s.client("http/1.1"), "https://app."+domain+"/", func(r *http.Request) {
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", "websocket")
				r.Header.Set("Sec-WebSocket-Version", "13")
				r.Header.Set("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
				c.change(r.Header)
			})
			if response.StatusCode != c.status || c.status == http.StatusUpgradeRequired && response.Header.Get("Upgrade")+response.Header.Get("Sec-WebSocket-Version") == "" {
				t.Errorf("%s: %s %v", name, response.Status, response.Header)
			}
		}
		if n := m.opened.Load(); n != 0 {
			t.Errorf("%d streams were opened", n)
		}
	})
}

// A converted WebSocket that has nothing to say lives on; the PROXY header goes before the
// first byte, and the edge's end is told of.
func TestWebSocketsAsTCPLive(t *testing.T) {
	s := start(t, func(c *config) {
		c.Timeouts = edge.Timeouts{RequestHeader: 50 * time.Millisecond, Idle: 50 * time.Millisecond}
	})
	s.converting("https://app."+domain, rawUpstream(t, echo), func(m *member) { m.options.ProxyProtocol = 1 })
	conn, _, err := s.socket("wss://app."+domain, nil)
	must(t, err)
	got, _ := heard(t, conn, 1)
	if !strings.HasPrefix(got, "PROXY TCP4 127.0.0.1 ") {
		t.Errorf("the service got %q", got)
	}
	pinged := make(chan error, 1)
	go func() { pinged <- conn.Ping(t.Context()) }()
	must(t, conn.Write(t.Context(), websocket.MessageBinary, []byte("hello")))
	if got, _ := heard(t, conn, 5); got != "hello" {
		t.Errorf("%q", got)
	}
	go heard(t, conn, 1)
	if err := <-pinged; err != nil {
		t.Error(err)
	}
}
