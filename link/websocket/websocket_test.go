package websocket_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	library "github.com/coder/websocket"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/websocket"
)

// serve answers upgrades and hands the carriers on; remote is whom a proxy names.
func serve(t *testing.T, remote netip.Addr) (addr string, accepted <-chan net.Conn) {
	t.Helper()
	carriers := make(chan net.Conn, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !websocket.Asked(r) {
			http.Error(w, "no carrier", http.StatusTeapot)
			return
		}
		conn, err := websocket.Accept(w, r, nil, remote)
		if err != nil {
			if postern.HasCode(err, postern.CodeRequestInvalid) { // else the library has answered
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
			return
		}
		t.Cleanup(func() { conn.Close() })
		carriers <- conn
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), carriers
}

func dial(t *testing.T, addr string) (*websocket.Conn, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	carrier, err := websocket.Client(t.Context(), conn, addr, "postern/test")
	if err == nil {
		t.Cleanup(func() { carrier.Close() })
	}
	return carrier, err
}

func pair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	addr, accepted := serve(t, netip.Addr{})
	carrier, err := dial(t, addr)
	if err != nil {
		t.Fatal(err)
	}
	return carrier, <-accepted
}

func TestBytesArriveInOrderBothWays(t *testing.T) {
	client, server := pair(t)
	for name, way := range map[string][2]net.Conn{"up": {client, server}, "down": {server, client}} {
		sent := make([]byte, 3<<20+17)
		for i := range sent {
			sent[i] = byte(rand.Uint32())
		}
		go func() {
			for rest := sent; len(rest) > 0; {
				n := min(len(rest), 1+rand.IntN(100_000))
				if _, err := way[0].Write(rest[:n]); err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
		}()
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(way[1], got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%s: %v, or other bytes than were sent", name, err)
		}
	}
}

func TestTheEndIsEOF(t *testing.T) {
	client, server := pair(t)
	client.Close()
	if n, err := server.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("Read = %d, %v", n, err)
	}
	if _, err := client.Read(make([]byte, 1)); err == nil {
		t.Error("a carrier that was closed can be read")
	}
}

func TestDeadline(t *testing.T) {
	client, _ := pair(t)
	if err := client.SetReadDeadline(time.Now().Add(time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v", err)
	}
}

func TestRemoteIsWhomTheProxyNames(t *testing.T) {
	addr, accepted := serve(t, netip.MustParseAddr("2001:db8::7"))
	client, err := dial(t, addr)
	if err != nil {
		t.Fatal(err)
	}
	if got := (<-accepted).RemoteAddr().String(); got != "[2001:db8::7]:0" {
		t.Errorf("RemoteAddr = %s", got)
	}
	if client.RemoteAddr().String() != addr {
		t.Errorf("the client's RemoteAddr = %s", client.RemoteAddr())
	}
}

// Nothing that a stranger sends is inflated, whatever the client asks for.
func TestCompressionIsNeverAgreed(t *testing.T) {
	addr, _ := serve(t, netip.Addr{})
	socket, response, err := library.Dial(t.Context(), "ws://"+addr+websocket.Path, &library.DialOptions{
		Subprotocols: []string{websocket.Subprotocol}, CompressionMode: library.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.CloseNow()
	if got := response.Header.Get("Sec-WebSocket-Extensions"); got != "" {
		t.Errorf("the server agreed to %q", got)
	}
}

func TestACompressedFrameEndsTheCarrier(t *testing.T) {
	addr, accepted := serve(t, netip.Addr{})
	conn := upgraded(t, addr)
	// FIN and RSV1, binary, masked, one byte.
	if _, err := conn.Write([]byte{0xC2, 0x81, 0, 0, 0, 0, 'x'}); err != nil {
		t.Fatal(err)
	}
	if n, err := (<-accepted).Read(make([]byte, 8)); n != 0 || err == nil {
		t.Errorf("Read = %d, %v", n, err)
	}
}

func TestTextEndsTheCarrier(t *testing.T) {
	addr, accepted := serve(t, netip.Addr{})
	conn := upgraded(t, addr)
	if _, err := conn.Write([]byte{0x81, 0x81, 0, 0, 0, 0, 'x'}); err != nil {
		t.Fatal(err)
	}
	if n, err := (<-accepted).Read(make([]byte, 8)); n != 0 || err == nil {
		t.Errorf("Read = %d, %v", n, err)
	}
}

const goodUpgrade = "GET " + websocket.Path + " HTTP/1.1\r\nHost: connect.postern.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " + websocket.Subprotocol + "\r\n"

// upgraded speaks WebSocket by hand.
func upgraded(t *testing.T, addr string) net.Conn {
	t.Helper()
	conn, response := request(t, addr, goodUpgrade)
	if response.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(response.Status)
	}
	return conn
}

func request(t *testing.T, addr, head string) (net.Conn, *http.Response) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, head+"\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn, response
}

func TestUpgradesThatAreRefused(t *testing.T) {
	addr, _ := serve(t, netip.Addr{})
	for name, c := range map[string]struct {
		old, new string
		want     int
	}{
		"good":            {"", "", 101},
		"another path":    {websocket.Path, "/", 418},
		"a web page":      {"Host:", "Origin: https://evil.example\r\nHost:", 400},
		"its own page":    {"Host:", "Origin: http://connect.postern.test\r\nHost:", 400},
		"no subprotocol":  {"Sec-WebSocket-Protocol: ", "X-Not: ", 400},
		"another one":     {websocket.Subprotocol, "chat", 400},
		"an old version":  {"Version: 13", "Version: 8", 400},
		"another method":  {"GET ", "POST ", 400},
		"no upgrade":      {"Upgrade: websocket", "X-Not: x", 418},
		"another upgrade": {"Upgrade: websocket", "Upgrade: h2c", 418},
		"no key":          {"Sec-WebSocket-Key: ", "X-Not: ", 400},
	} {
		if _, response := request(t, addr, strings.Replace(goodUpgrade, c.old, c.new, 1)); response.StatusCode != c.want {
			t.Errorf("%s: %s, want %d", name, response.Status, c.want)
		}
	}
}

func TestWhatAnswersInstead(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		header string
		want   string
		away   bool
	}{
		"a page":          {200, "nginx/1.22", "200 OK from nginx/1.22", false},
		"a login":         {302, "", "302 Found", false},
		"a dead upstream": {502, "nginx", "502 Bad Gateway from nginx", true},
		"odd text":        {403, "aäb" + strings.Repeat("x", 200), "403 Forbidden from ab" + strings.Repeat("x", 78), false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.header != "" {
				w.Header().Set("Server", c.header)
			}
			w.Header().Set("Location", "https://elsewhere.test/")
			w.WriteHeader(c.status)
		}))
		_, err := dial(t, server.Listener.Addr().String())
		var refusal *websocket.Refusal
		if !errors.As(err, &refusal) || !strings.HasSuffix(refusal.Error(), c.want) || refusal.Away() != c.away {
			t.Errorf("%s: %v (away %v), want …%s", name, err, refusal != nil && refusal.Away(), c.want)
		}
		server.Close()
	}
}

func TestClientGivesUpWithItsContext(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // accepts, in the kernel, and is silent
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := websocket.Client(ctx, conn, "a.test", ""); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Client = %v", err)
	}
}

func TestAnAnswerWithoutEnd(t *testing.T) {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		_, _ = http.ReadRequest(bufio.NewReader(far))
		_, _ = io.WriteString(far, "HTTP/1.1 101 Switching Protocols\r\n")
		for {
			if _, err := io.WriteString(far, "X: "+strings.Repeat("x", 1000)+"\r\n"); err != nil {
				return
			}
		}
	}()
	if _, err := websocket.Client(t.Context(), near, "a.test", ""); err == nil {
		t.Error("a head without end was accepted")
	}
}
