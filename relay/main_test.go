package relay_test

import (
	"io"
	"net"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/relay"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// memory gives the two ends of an in-memory connection.
func memory(t testing.TB) (outer, inner relay.Conn) {
	a, b := testkit.Pipe()
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return a.(relay.Conn), b.(relay.Conn)
}

// awaited is memory whose inner end can be waited for without a goroutine, as a stream.
func awaited(t testing.TB) (outer, inner relay.Conn) {
	outer, inner = memory(t)
	return outer, inner.(*testkit.PipeConn).Awaited()
}

// pumped is memory whose inner end hands on and fetches by itself.
func pumped(t testing.TB) (outer, inner relay.Conn) {
	outer, inner = memory(t)
	return outer, inner.(*testkit.PipeConn).Pumped()
}

// loopback gives the two ends of a TCP connection.
func loopback(t testing.TB) (outer, inner relay.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = dialled.Close(); _ = accepted.Close() })
	return dialled.(relay.Conn), accepted.(relay.Conn)
}

// encrypted gives the two ends of a TLS connection over TCP.
func encrypted(t testing.TB) (outer, inner relay.Conn) {
	t.Helper()
	a, b := loopback(t)
	return testkitTLS(t, a, b)
}

func testkitTLS(t testing.TB, a, b net.Conn) (outer, inner relay.Conn) {
	t.Helper()
	client, server := testkit.TLSPair(t, a, b, "")
	return client, server
}

// stream is a link.Stream as far as relay can tell: it remembers its reset.
type stream struct {
	relay.Conn
	resets chan *postern.Error
}

func newStream(c relay.Conn) *stream { return &stream{Conn: c, resets: make(chan *postern.Error, 1)} }

func (s *stream) Reset(why *postern.Error) {
	select {
	case s.resets <- why:
	default: // the first counts
	}
	if l, ok := s.Conn.(interface{ SetLinger(int) error }); ok {
		_ = l.SetLinger(0)
	}
	_ = s.Conn.Close()
}

func write(t testing.TB, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatalf("writing %q: %v", text, err)
	}
}

func expect(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got, err, want)
	}
}
