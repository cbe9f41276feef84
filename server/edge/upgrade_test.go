package edge_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern/server/edge"
)

func TestWebSocket(t *testing.T) {
	s := start(t)
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			_ = conn.Write(r.Context(), kind, append([]byte("echo "), message...))
		}
	}))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "wss://app."+domain+"/socket", &websocket.DialOptions{HTTPClient: s.client("http/1.1")})
	must(t, err)
	defer conn.CloseNow()
	for _, text := range []string{"one", strings.Repeat("two", 10000)} {
		must(t, conn.Write(ctx, websocket.MessageText, []byte(text)))
		conn.SetReadLimit(1 << 20)
		_, got, err := conn.Read(ctx)
		must(t, err)
		if string(got) != "echo "+text {
			t.Errorf("got %d bytes", len(got))
		}
	}
	must(t, conn.Close(websocket.StatusNormalClosure, ""))
}

// Any protocol may be switched to, half-close included, and bytes that either side
// sends with its head are not lost.
func TestUpgradeRelaysBothHalves(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		reader := bufio.NewReader(conn)
		r, err := http.ReadRequest(reader)
		if err != nil || r.Header.Get("Upgrade") != "chat" || r.Header.Get("Connection") != "Upgrade" {
			t.Errorf("the service saw %v %v", r, err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\nX-More: 1\r\n\r\nfirst;")
		all, _ := io.ReadAll(reader) // the visitor's half-close
		_, _ = io.WriteString(conn, "got "+string(all))
	}))
	conn := s.dial(s.http)
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\nConnection: Upgrade\r\nUpgrade: chat, h2c\r\n\r\nahead")
	must(t, err)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	must(t, err)
	if response.StatusCode != 101 || response.Header.Get("X-More") != "1" || response.Header.Get("Upgrade") != "chat" {
		t.Fatalf("got %d %v", response.StatusCode, response.Header)
	}
	_, err = io.WriteString(conn, " and after")
	must(t, err)
	must(t, conn.CloseWrite())
	rest, err := io.ReadAll(reader)
	must(t, err)
	if string(rest) != "first;got ahead and after" {
		t.Errorf("got %q", rest)
	}
}

// B2 "upgrade smuggling": bytes after a refused upgrade are a request of their own,
// checked like any other, and h2c is not forwarded at all.
func TestRefusedUpgradeRelaysNothing(t *testing.T) {
	s := start(t)
	paths := make(chan string, 4)
	s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.Path + " " + r.Header.Get("X-Forwarded-For") + " " + r.Header.Get("Upgrade") + r.Header.Get("Http2-Settings")
	}))
	conn := s.dial(s.http)
	_, err := io.WriteString(conn, "GET /one HTTP/1.1\r\nHost: app."+domain+"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"+
		"GET /two HTTP/1.1\r\nHost: app."+domain+"\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
	must(t, err)
	reader := bufio.NewReader(conn)
	for _, want := range []string{"/one 127.0.0.1 ", "/two 127.0.0.1 "} {
		response, err := http.ReadResponse(reader, nil)
		must(t, err)
		body(t, response)
		if got := <-paths; got != want {
			t.Errorf("the service saw %q, want %q", got, want)
		}
	}
}

func TestUnaskedSwitchIsRefused(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, rawUpstream(t, answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nsecret")))
	for _, ask := range []string{"", "Connection: Upgrade\r\nUpgrade: chat\r\n", "Connection: Upgrade\r\nUpgrade: h2c\r\n", "Upgrade: other\r\n"} {
		response := s.raw("GET / HTTP/1.1\r\nHost: app." + domain + "\r\n" + ask + "\r\n")
		if text := body(t, response); response.StatusCode != 502 || strings.Contains(text, "secret") {
			t.Errorf("%q: %d %s", ask, response.StatusCode, text)
		}
	}
}

// After a switch an abnormal end of the service is one for the visitor too.
func TestUpgradedResetIsNotACleanEnd(t *testing.T) {
	s := start(t)
	cut := make(chan struct{})
	s.serve("https://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")(conn)
		<-cut
		_ = conn.SetLinger(0)
	}))
	conn := s.dialTLS("app."+domain, "http/1.1")
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
	must(t, err)
	reader := bufio.NewReader(conn)
	_, err = http.ReadResponse(reader, nil)
	must(t, err)
	close(cut)
	if _, err := reader.ReadByte(); err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the visitor read %v", err)
	}
}

// Relayed connections are drained at shutdown, then cut.
func TestShutdownCutsUpgraded(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")(conn)
		_, _ = io.Copy(io.Discard, conn)
	}))
	conn := s.dial(s.http)
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
	must(t, err)
	reader := bufio.NewReader(conn)
	_, err = http.ReadResponse(reader, nil)
	must(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.edge.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown: %v", err)
	}
	if _, err := reader.ReadByte(); err == nil {
		t.Error("still open")
	}
}

// After a switch nothing of net/http is held: its goroutine has ended, whose stack and
// buffers cost more than the relay's. Followers' context lives on to the real end.
func TestUpgradedLeavesNetHTTP(t *testing.T) {
	told, contexts := new(story), make(chan context.Context, 1)
	r := &rule{name: "rule", needs: edge.NeedHead, request: func(x *edge.Exchange) (*edge.Answer, error) {
		contexts <- x.Context()
		return nil, nil
	}}
	var atEnd error
	r.end = func(x *edge.Exchange) { atEnd = x.Context().Err() }
	s := start(t, subscribed(told, r))
	s.serve("http://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
		answer("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")(conn)
		_, _ = io.Copy(conn, conn)
	}))
	conn := s.dial(s.http)
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
	must(t, err)
	reader := bufio.NewReader(conn)
	_, err = http.ReadResponse(reader, nil)
	must(t, err)
	stacks := make([]byte, 4<<20)
	eventually(t, "the handler returns", func() bool {
		all := string(stacks[:runtime.Stack(stacks, true)])
		return strings.Contains(all, "(*webExchange).join") && !strings.Contains(all, "(*Edge).serveRequest(")
	})
	ctx := <-contexts
	_, err = io.WriteString(conn, "echo")
	must(t, err)
	echo := make([]byte, 4)
	if _, err := io.ReadFull(reader, echo); err != nil || string(echo) != "echo" {
		t.Fatalf("got %q, %v", echo, err)
	}
	if ctx.Err() != nil {
		t.Error("the exchange's context ended with the handler")
	}
	must(t, conn.CloseWrite())
	told.over(t, 1)
	if atEnd != nil {
		t.Error("the exchange's context ended before End")
	}
	eventually(t, "the context ends", func() bool { return ctx.Err() != nil })
	if got := told.String(); !strings.HasSuffix(got, "rule: end 101 in 4 out 4 ") {
		t.Errorf("told %s", got)
	}
}
