package edge_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/link/websocket"
	"github.com/postern-dev/postern/server/edge"
)

// carrier opens a WebSocket on conn, for a host, and an agent's TLS in it.
func (s *site) carrier(conn net.Conn, host string) (*tls.Conn, error) {
	s.t.Helper()
	carrier, err := websocket.Client(s.t.Context(), conn, host, "")
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { carrier.Close() })
	inner := tls.Client(carrier, &tls.Config{ServerName: "connect." + domain, RootCAs: s.roots, NextProtos: []string{"postern/1"}})
	return inner, inner.HandshakeContext(s.t.Context())
}

func TestAgentsInAWebSocket(t *testing.T) {
	s := start(t)
	s.serve("https://taken."+domain, s.upstream(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	connect := "connect." + domain
	for name, c := range map[string]struct {
		dial func() net.Conn
		host string
		want int // of the answer; 101 is a carrier
	}{
		"shared port":             {func() net.Conn { return s.dialTLS(connect, "http/1.1") }, connect, 101},
		"with a port":             {func() net.Conn { return s.dialTLS(connect, "http/1.1") }, connect + ":8443", 101},
		"without ALPN":            {func() net.Conn { return s.dialTLS(connect) }, connect, 101},
		"by its address":          {func() net.Conn { return s.dialTLS("", "http/1.1") }, "127.0.0.1:8443", 101},
		"by its IPv6 address":     {func() net.Conn { return s.dialTLS("") }, "[::1]:8443", 101},
		"a proxy's name for us":   {func() net.Conn { return s.dialTLS("", "http/1.1") }, "backend", 101},
		"in the clear":            {func() net.Conn { return s.dial(s.http) }, connect, 101},
		"agents' port":            {func() net.Conn { return dialTo(s, s.agent, "http/1.1") }, connect, 101},
		"agents' port, no ALPN":   {func() net.Conn { return dialTo(s, s.agent) }, "whatever", 101},
		"somebody's endpoint":     {func() net.Conn { return s.dialTLS("taken."+domain, "http/1.1") }, "taken." + domain, 418},
		"on another's connection": {func() net.Conn { return s.dialTLS("taken."+domain, "http/1.1") }, "backend", 421},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := s.carrier(c.dial(), c.host)
			if c.want != http.StatusSwitchingProtocols {
				if refusal, ok := err.(*websocket.Refusal); !ok || refusal.Status != c.want {
					t.Errorf("the answer is %v, want %d", err, c.want)
				}
				return
			}
			must(t, err)
			_, err = conn.Write([]byte{7})
			must(t, err)
			if got := <-s.sessions; got.alpn != "postern/1" || got.first != 7 || !strings.HasPrefix(got.peer, "127.0.0.1:") {
				t.Errorf("the agent arrived as %+v", got)
			}
			if echo, err := io.ReadAll(conn); err != nil || len(echo) != 1 {
				t.Errorf("it heard %v, %v", echo, err)
			}
		})
	}
}

func dialTo(s *site, addr string, alpn ...string) net.Conn {
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: s.roots, ServerName: "connect." + domain, NextProtos: alpn})
	must(s.t, err)
	must(s.t, conn.SetDeadline(time.Now().Add(patience)))
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

const upgradeRequest = "GET " + websocket.Path + " HTTP/1.1\r\nHost: connect." + domain + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + websocket.Subprotocol + "\r\n"

func TestCarriersThatAreRefused(t *testing.T) {
	s := start(t)
	for name, c := range map[string]struct {
		request string
		want    int
	}{
		"web page":       {upgradeRequest + "Origin: https://connect." + domain + "\r\n", 400},
		"no subprotocol": {strings.Replace(upgradeRequest, websocket.Subprotocol, "chat", 1), 400},
		"another path":   {strings.Replace(upgradeRequest, websocket.Path, "/", 1), 404},
		"no upgrade":     {"GET " + websocket.Path + " HTTP/1.1\r\nHost: connect." + domain + "\r\n", 404},
	} {
		if response := s.raw(c.request + "\r\n"); response.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", name, response.Status, c.want)
		}
	}
	conn := dialTo(s, s.agent, "http/1.1")
	_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: connect."+domain+"\r\n\r\n")
	must(t, err)
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") || !strings.Contains(string(answer), "ERR_NGROK_3206") {
		t.Errorf("a visitor at the agents' port hears %q, %v", answer, err)
	}
}

// A stranger in a WebSocket has as long for TLS as one outside, and no longer.
func TestSilentCarriersEnd(t *testing.T) {
	s := start(t, func(c *config) { c.Timeouts.Handshake = 200 * time.Millisecond })
	carrier, err := websocket.Client(t.Context(), s.dial(s.http), "connect."+domain, "")
	must(t, err)
	if _, err := carrier.Read(make([]byte, 1)); err == nil {
		t.Error("the carrier said something")
	}
	eventually(t, "its end", func() bool { _, err := carrier.Write([]byte{0}); return err != nil })
}

// What is in the WebSocket must be an agent's TLS.
func TestCarriersTakeAgentsOnly(t *testing.T) {
	s := start(t)
	carrier, err := websocket.Client(t.Context(), s.dial(s.http), "connect."+domain, "")
	must(t, err)
	defer carrier.Close()
	inner := tls.Client(carrier, &tls.Config{ServerName: "connect." + domain, RootCAs: s.roots})
	if inner.Handshake() == nil {
		if _, err := inner.Read(make([]byte, 1)); err == nil {
			t.Error("an SDK's connection was taken in a WebSocket")
		}
	}
	if len(s.sessions) > 0 {
		t.Error("a session was served")
	}
}

func TestCarriersRemoteIsWhomATrustedProxyNames(t *testing.T) {
	for name, c := range map[string]struct {
		trust func(*edge.Config)
		want  string
	}{
		"trusted":   {trustLoopback, "203.0.113.9:0"},
		"untrusted": {func(*edge.Config) {}, "127.0.0.1:"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, c.trust)
			conn, err := s.carrier(&spoken{Conn: s.dial(s.http), line: "X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n"}, "connect."+domain)
			must(t, err)
			_, err = conn.Write([]byte{7})
			must(t, err)
			if got := <-s.sessions; !strings.HasPrefix(got.peer, c.want) {
				t.Errorf("the agent arrived from %s, want %s", got.peer, c.want)
			}
		})
	}
}

// spoken is a connection on which a proxy adds a line to the first request.
type spoken struct {
	net.Conn
	line string
}

func (p *spoken) Write(b []byte) (int, error) {
	if p.line == "" {
		return p.Conn.Write(b)
	}
	text := strings.TrimSuffix(string(b), "\r\n") + p.line + "\r\n"
	p.line = ""
	_, err := io.WriteString(p.Conn, text)
	return len(b), err
}
