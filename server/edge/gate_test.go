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
// takes nobody's: they are far more here than get a turn in the time that is allowed.
func TestStalledHandshakesGiveTheirTurnAway(t *testing.T) {
	s := start(t)
	hello := &tls.Config{ServerName: "connect." + domain, NextProtos: []string{"postern/1"}, RootCAs: s.roots}
	stalled := 64 * runtime.GOMAXPROCS(0)
	begun := make(chan struct{}, stalled)
	for range stalled {
		more := tls.Client(&halfway{Conn: s.dial(s.agent), begun: begun}, hello)
		go func() { _ = more.Handshake() }()
	}
	for range stalled {
		<-begun
	}
	began := time.Now()
	conn, err := tls.Dial("tcp", s.agent, hello)
	must(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte{7})
	must(t, err)
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("an honest agent waited %s", took)
	}
}

// halfway sends its first message and nothing after it.
type halfway struct {
	net.Conn
	begun chan<- struct{}
	sent  bool
}

func (h *halfway) Write(b []byte) (int, error) {
	if h.sent {
		return len(b), nil
	}
	h.sent = true
	defer func() { h.begun <- struct{}{} }()
	return h.Conn.Write(b)
}
