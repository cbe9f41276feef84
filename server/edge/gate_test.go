package edge_test

import (
	"crypto/tls"
	"io"
	"net"
	"runtime"
	"testing"
	"time"
)

// B5-32: agents' handshakes take turns, and whoever begins one and then says nothing
// keeps the others waiting for a moment only.
func TestStalledHandshakesGiveTheirTurnAway(t *testing.T) {
	s := start(t)
	for range 4 * runtime.GOMAXPROCS(0) {
		more := tls.Client(&halfway{Conn: s.dial(s.agent)}, &tls.Config{ServerName: "connect." + domain, NextProtos: []string{"postern/1"}, RootCAs: s.roots})
		go func() { _ = more.Handshake() }()
	}
	began := time.Now()
	conn, err := tls.Dial("tcp", s.agent, &tls.Config{ServerName: "connect." + domain, NextProtos: []string{"postern/1"}, RootCAs: s.roots})
	must(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte{7})
	must(t, err)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("an honest agent waited %s", took)
	}
}

// halfway sends its first message and nothing after it.
type halfway struct {
	net.Conn
	sent bool
}

func (h *halfway) Write(b []byte) (int, error) {
	if !h.sent {
		h.sent = true
		return h.Conn.Write(b)
	}
	return len(b), nil
}
