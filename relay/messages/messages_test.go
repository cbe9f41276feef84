package messages_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/relay/messages"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// visit opens a WebSocket whose other end is served as a stream.
func visit(t *testing.T, serve func(*messages.Conn)) (*websocket.Conn, context.Context) {
	t.Helper()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+
			frames.Accept(r.Header.Get("Sec-WebSocket-Key"))+"\r\n\r\n")
		c := messages.New(conn.(*net.TCPConn))
		defer c.Close()
		serve(c)
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	socket, _, err := websocket.Dial(ctx, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	socket.SetReadLimit(-1)
	t.Cleanup(func() {
		_ = socket.CloseNow()
		<-done
		cancel()
		server.Close()
	})
	return socket, ctx
}

// all reads binary messages until the close frame.
func all(t *testing.T, ctx context.Context, socket *websocket.Conn) (string, websocket.StatusCode) {
	t.Helper()
	var text strings.Builder
	for {
		kind, message, err := socket.Read(ctx)
		if err != nil {
			return text.String(), websocket.CloseStatus(err)
		}
		if kind != websocket.MessageBinary {
			t.Errorf("a message of the kind %v", kind)
		}
		text.Write(message)
	}
}

// What is in messages, of both kinds and all sizes, is a stream; and what is written comes
// in binary messages. Pings are answered meanwhile.
func TestMessagesAreAStream(t *testing.T) {
	const size = 300_000
	socket, ctx := visit(t, func(c *messages.Conn) {
		got := make([]byte, size+5)
		if _, err := io.ReadFull(c, got); err != nil {
			t.Error(err)
		}
		_, _ = c.Write(got)
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	for _, piece := range []struct {
		kind websocket.MessageType
		text string
	}{{websocket.MessageText, "one"}, {websocket.MessageBinary, ""}, {websocket.MessageBinary, strings.Repeat("b", size)}, {websocket.MessageText, "23"}} {
		if piece.text == "23" {
			go func() { _ = socket.Ping(ctx) }()
		}
		if err := socket.Write(ctx, piece.kind, []byte(piece.text)); err != nil {
			t.Fatal(err)
		}
	}
	if text, status := all(t, ctx, socket); text != "one"+strings.Repeat("b", size)+"23" || status != websocket.StatusNormalClosure {
		t.Errorf("%d bytes, status %d", len(text), status)
	}
}

func TestPingsAreAnswered(t *testing.T) {
	socket, ctx := visit(t, func(c *messages.Conn) { _, _ = io.Copy(io.Discard, c) })
	reading := socket.CloseRead(ctx)
	for range 3 {
		if err := socket.Ping(ctx); err != nil || reading.Err() != nil {
			t.Fatal(err)
		}
	}
}

// fed is a connection that reads what it is told.
type fed struct {
	relay.Conn
	from io.Reader
}

func (f *fed) Read(b []byte) (int, error) { return f.from.Read(b) }

// half is one end of a pipe.
func half(t *testing.T) (near relay.Conn, far net.Conn) {
	t.Helper()
	a, b := testkit.Pipe()
	t.Cleanup(func() { _, _ = a.Close(), b.Close() })
	return a.(relay.Conn), b
}

// frame is one of a client's, its mask nought.
func frame(first byte, payload string) string {
	return string([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}) + payload
}

// What breaks the rules ends the stream with an error, and the peer is told by a status;
// an end without a close frame is no clean one.
func TestFramesThatMustNotBe(t *testing.T) {
	for name, c := range map[string]struct {
		in     string
		bytes  string
		clean  bool
		status int // that is sent; 0: none
	}{
		"a close":              {frame(0x82, "ab") + frame(0x88, "\x03\xe8"), "ab", true, 0},
		"going away":           {frame(0x88, "\x03\xe9bye"), "", true, 0},
		"a close without more": {frame(0x88, ""), "", true, 0},
		"trouble":              {frame(0x82, "ab") + frame(0x88, "\x03\xf3"), "ab", false, 0},
		"a close of a byte":    {frame(0x88, "x"), "", false, 1002},
		"an end in between":    {frame(0x82, "ab"), "ab", false, 0},
		"an end in a message":  {frame(0x82, "abc")[:8], "ab", false, 0},
		"an end in a head":     {"\x82", "", false, 0},
		"no mask":              {"\x82\x02ab", "", false, 1002},
		"reserved bits":        {frame(0xC2, "ab"), "", false, 1002},
		"an unknown opcode":    {frame(0x83, "ab"), "", false, 1002},
		"a continuation alone": {frame(0x80, "ab"), "", false, 1002},
		"a message in another": {frame(0x02, "ab") + frame(0x82, "cd"), "ab", false, 1002},
		"a ping in pieces":     {frame(0x09, "ab"), "", false, 1002},
		"a ping between":       {frame(0x02, "ab") + frame(0x89, "?") + frame(0x80, "cd") + frame(0x88, ""), "abcd", true, 0},
		"too large":            {"\x82\xff\x00\x00\x00\x00\x40\x00\x00\x01\x00\x00\x00\x00", "", false, 1009},
	} {
		for way, by := range map[string]func(io.Reader) io.Reader{"at once": func(r io.Reader) io.Reader { return r }, "byte by byte": iotest.OneByteReader} {
			near, far := half(t)
			conn := messages.New(&fed{near, by(strings.NewReader(c.in))})
			got, err := io.ReadAll(conn)
			_ = conn.Close()
			said, _ := io.ReadAll(far)
			if string(got) != c.bytes || (err == nil) != c.clean {
				t.Errorf("%s, %s: %q, %v", name, way, got, err)
			}
			status := 0
			if i := bytes.IndexByte(said, 0x88); i >= 0 {
				status = int(said[i+2])<<8 | int(said[i+3])
			}
			if status != c.status {
				t.Errorf("%s, %s: it is told the status %d", name, way, status)
			}
		}
	}
}

// Either side may end first; the other direction goes on.
func TestHalfClose(t *testing.T) {
	near, far := half(t)
	conn := messages.New(near)
	_, _ = io.WriteString(far, frame(0x82, "question")+frame(0x88, "\x03\xe9"))
	if got, err := io.ReadAll(conn); string(got) != "question" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
	if _, err := io.WriteString(conn, "last words"); err != nil {
		t.Fatal(err)
	}
	_ = conn.CloseWrite()
	_ = conn.Close()
	if said, _ := io.ReadAll(far); string(said) != "\x82\x0alast words\x88\x02\x03\xe9" {
		t.Errorf("%q", said)
	}

	near, far = half(t)
	conn = messages.New(near)
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("more")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write behind the end: %v", err)
	}
	_, _ = io.WriteString(far, frame(0x82, "on its way")+frame(0x88, "\x03\xe8"))
	if got, err := io.ReadAll(conn); string(got) != "on its way" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	_ = conn.Close()
}

// Nobody waits for ever for the second half of an end.
func TestEndTime(t *testing.T) {
	for name, end := range map[string]func(*messages.Conn, net.Conn){
		"ours": func(c *messages.Conn, _ net.Conn) { _ = c.CloseWrite() },
		"the peer": func(c *messages.Conn, far net.Conn) {
			_, _ = io.WriteString(far, frame(0x88, ""))
			_, _ = c.Read(make([]byte, 1))
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			near, far := half(t)
			conn := messages.New(near)
			end(conn, far)
			began := time.Now()
			said, _ := io.ReadAll(far)
			if after := time.Since(began); after != messages.EndTime || !bytes.HasPrefix(said, []byte{0x88}) {
				t.Errorf("%s: over after %v, said %q", name, after, said)
			}
		})
	}
}

// Trouble has a status of its own.
func TestReset(t *testing.T) {
	for code, status := range map[postern.Code]string{
		postern.CodeUpstreamUnreachable: "\x03\xf6", postern.CodeLinkDraining: "\x03\xe9", postern.CodeStreamReset: "\x03\xf3",
	} {
		near, far := half(t)
		messages.New(near).Reset(&postern.Error{Code: code})
		said, _ := io.ReadAll(far)
		if len(said) < 4 || string(said[2:4]) != status || string(said[4:]) != string(code) {
			t.Errorf("%s: %q", code, said)
		}
	}
}

// Whatever arrives, and in whatever pieces, is read or refused alike.
func FuzzRead(f *testing.F) {
	f.Add([]byte(frame(0x82, "ab") + frame(0x89, "?") + frame(0x88, "")))
	f.Add([]byte(frame(0x02, "ab") + frame(0x80, "cd")))
	f.Add([]byte("\x82\xff\x00\x00\x00\x00\x40\x00\x00\x01\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		read := func(from io.Reader) (string, bool) {
			near, far := half(t)
			go func() { _, _ = io.Copy(io.Discard, far) }()
			conn := messages.New(&fed{near, from})
			defer conn.Close()
			got, err := io.ReadAll(conn)
			return string(got), err == nil
		}
		whole, clean := read(bytes.NewReader(in))
		if pieces, also := read(iotest.OneByteReader(bytes.NewReader(in))); whole != pieces || clean != also || len(whole) > len(in) {
			t.Fatalf("%q, %v in one piece; %q, %v in many", whole, clean, pieces, also)
		}
	})
}
