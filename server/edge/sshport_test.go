package edge_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// SSH clients on the TLS port are handed over with their first bytes, whatever the pieces
// these come in, and what merely begins alike is told what plain HTTP is told.
func TestSSHOnTheTLSPort(t *testing.T) {
	s := start(t)
	for _, pieces := range [][]string{{"SSH-2.0-OpenSSH_9.2\r\n"}, {"S", "SH", "-2.0-x\r\n"}, {"SSH-", "2.0-x\r\n"}} {
		conn, err := net.Dial("tcp", s.https)
		must(t, err)
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
		for _, piece := range pieces {
			_, err := io.WriteString(conn, piece)
			must(t, err)
		}
		if got := <-s.sessions; got.alpn != "ssh" || got.first != 'S' {
			t.Errorf("%q was handed over as %+v", pieces, got)
		}
	}
	conn, err := net.Dial("tcp", s.https)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(conn, "SEARCH / HTTP/1.1\r\nHost: a\r\n\r\n")
	must(t, err)
	if line, err := bufio.NewReader(conn).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 400") {
		t.Errorf("a request that begins with an S is answered %q, %v", line, err)
	}
}
