package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// socketStream is a visitor's WebSocket as a stream.
func (s *server) socketStream(t *testing.T, url string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	transport := s.transport()
	t.Cleanup(transport.CloseIdleConnections)
	socket, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	socket.SetReadLimit(-1)
	return websocket.NetConn(ctx, socket, websocket.MessageBinary)
}

// websocket_tcp_converter gives a service that speaks plain TCP what visitors send in
// WebSockets: by our agent's flag and by a file, and with ngrok's SDK for JavaScript.
func TestWebSocketsAsTCP(t *testing.T) {
	s := startServer(t)
	echo := tcpService(t, func(conn net.Conn) {
		defer conn.Close()
		_, _ = io.WriteString(conn, "220 hello\n")
		_, _ = io.Copy(conn, conn)
	})
	_, byFlag := s.agent("http", echo, "--url", "https://flag."+domain, "--websocket-tcp-converter")
	file := filepath.Join(t.TempDir(), "postern.yml")
	text := fmt.Sprintf("version: \"2\"\ntunnels:\n  raw:\n    proto: http\n    addr: %q\n    hostname: file.%s\n    schemes: [https]\n    websocket_tcp_converter: true\n", echo, domain)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, byFile := s.agent("start", "raw", "--config", file)
	sent := bytes.Repeat([]byte{0, 1, 0xff, 'x'}, 100_000)
	for _, url := range []string{byFlag, byFile} {
		conn := s.socketStream(t, url)
		go func() { _, _ = conn.Write(sent) }()
		got := make([]byte, len("220 hello\n")+len(sent))
		if _, err := io.ReadFull(conn, got); err != nil || string(got[:10]) != "220 hello\n" || !bytes.Equal(got[10:], sent) {
			t.Errorf("%s: other bytes, or %v", url, err)
		}
		if err := conn.Close(); err != nil { // with the close frame's answer
			t.Errorf("%s: %v", url, err)
		}
		response, err := s.visitor().Get(url)
		if err != nil {
			t.Fatal(err)
		}
		page, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != http.StatusUpgradeRequired || !strings.Contains(string(page), "ERR_POSTERN_313") {
			t.Errorf("%s, a plain request: %s %q", url, response.Status, page)
		}
	}

	options, err := json.Marshal(map[string]any{"websocket_tcp_converter": true, "domain": "node-socket." + domain})
	if err != nil {
		t.Fatal(err)
	}
	agent := s.nodeAgent(s.authtoken, string(options))
	if agent.URL == "" {
		t.Fatalf("%+v", agent)
	}
	conn := s.socketStream(t, agent.URL)
	_, _ = io.WriteString(conn, "GET /inside HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: tcp\r\nConnection: close\r\n\r\n")
	if got, err := io.ReadAll(conn); err != nil || !strings.Contains(string(got), "node saw GET /inside") {
		t.Errorf("the SDK's service: %q, %v", got, err)
	}
}
