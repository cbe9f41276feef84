package chisel_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/chisel"
)

// pair makes both ends of a WebSocket.
func pair(t testing.TB) (client, server *chisel.Conn) {
	t.Helper()
	near, far := testkit.Pipe()
	client, server = chisel.NewConn(near, false, true), chisel.NewConn(far, true, true)
	t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	return client, server
}

func TestConnCarriesBytes(t *testing.T) {
	client, server := pair(t)
	for name, way := range map[string][2]*chisel.Conn{"up": {client, server}, "down": {server, client}} {
		want := bytesOf(3<<20 + 17)
		done := make(chan struct{})
		go func() {
			defer close(done)
			sizes := []int{1, 125, 126, 127, 4095, 4096, 4097, 8191, 28_700, 65_535, 65_536, 200_000}
			for rest, i := want, 0; len(rest) > 0; i++ {
				n := min(sizes[i%len(sizes)], len(rest))
				if _, err := way[0].Write(rest[:n]); err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
		}()
		got := make([]byte, len(want))
		if _, err := io.ReadFull(way[1], got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: other bytes, or %v", name, err)
		}
		<-done
	}
}

// The library of somebody else at the other end, in both roles.
func TestConnWithAnotherLibrary(t *testing.T) {
	g := newGateway(t)
	socket := rawSocket(t, g.address, "/any/path", http.Header{"Token": {token}})
	secured, _ := secure(t, websocket.NetConn(context.Background(), socket, websocket.MessageBinary))
	if ok, _, err := secured.SendRequest("config", true, []byte(oneRemote)); !ok || err != nil {
		t.Fatal(err)
	}
	if _, err := g.next(1).Session.Ping(t.Context()); err != nil {
		t.Errorf("its pong does not arrive: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := socket.Ping(ctx); err != nil {
		t.Errorf("our pong does not arrive: %v", err)
	}
}

// frame makes one by hand.
func frame(first, second byte, rest ...byte) []byte { return append([]byte{first, second}, rest...) }

func TestFramesThatMustNotBe(t *testing.T) {
	mask := []byte{0, 0, 0, 0}
	for name, in := range map[string][]byte{
		"no mask":                     frame(0x82, 1, 'x'),
		"a compressed one":            frame(0xC2, 0x81, append(mask, 'x')...),
		"text":                        frame(0x81, 0x81, append(mask, 'x')...),
		"an unknown opcode":           frame(0x83, 0x80, mask...),
		"a ping in pieces":            frame(0x09, 0x80, mask...),
		"a ping of 126 bytes":         append(frame(0x89, 0xFE, 0, 126), mask...),
		"on without a beginning":      frame(0x80, 0x81, append(mask, 'x')...),
		"a beginning within another":  append(frame(0x02, 0x81, append(mask, 'x')...), frame(0x82, 0x81, append(mask, 'x')...)...),
		"a length with its first bit": append(frame(0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0), mask...),
	} {
		near, far := testkit.Pipe()
		server := chisel.NewConn(far, true, false)
		if _, err := near.Write(in); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 8)
		n, err := server.Read(b)
		if err == nil {
			n, err = server.Read(b)
		}
		if n != 0 || err == nil || errors.Is(err, io.EOF) {
			t.Errorf("%s: Read = %d, %v", name, n, err)
		}
		_, _ = near.Close(), server.Close()
	}
}

func TestAnEndWithinAMessageIsNotClean(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"between two":  {frame(0x82, 0x81, 0, 0, 0, 0, 'x'), io.EOF},
		"in a payload": {frame(0x82, 0x85, 0, 0, 0, 0, 'x'), io.ErrUnexpectedEOF},
		"in a head":    {frame(0x82, 0x85, 0, 0), io.ErrUnexpectedEOF},
	} {
		near, far := testkit.Pipe()
		_, _ = near.Write(c.in)
		_ = near.(*testkit.PipeConn).CloseWrite()
		if _, err := io.Copy(io.Discard, onlyReader{chisel.NewConn(far, true, false)}); !errors.Is(err, c.want) && !(c.want == io.EOF && err == nil) {
			t.Errorf("%s: %v", name, err)
		}
		_, _ = near.Close(), far.Close()
	}
}

type onlyReader struct{ io.Reader }

func TestUpgradesThatAreRefused(t *testing.T) {
	g := newGateway(t)
	good := "GET /sg_1 HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chisel-v3\r\n\r\n"
	for name, c := range map[string]struct {
		old, new, want string
	}{
		"good":            {"", "", "101"},
		"another version": {"chisel-v3", "chisel-v2", "404"},
		"no WebSocket":    {"Upgrade: WebSocket", "X: y", "404"},
		"an old one":      {"Version: 13", "Version: 8", "400"},
		"POST":            {"GET", "POST", "400"},
		"no key":          {"dGhlIHNhbXBsZSBub25jZQ==", "", "400"},
		"a short key":     {"dGhlIHNhbXBsZSBub25jZQ==", "dGhl", "400"},
		"a web page":      {"Host:", "Origin: https://a.test\r\nHost:", "400"},
		"no Connection":   {"Connection: keep-alive, Upgrade", "Connection: keep-alive", "400"},
	} {
		conn, err := net.Dial("tcp", g.address)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, strings.Replace(good, c.old, c.new, 1))
		answer := make([]byte, 12)
		if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != "HTTP/1.1 "+c.want {
			t.Errorf("%s: %q, %v", name, answer, err)
		}
		_ = conn.Close()
	}
}

// Whatever arrives, and in whatever pieces, is read or refused; what a Conn writes is
// what the other one reads.
func FuzzFrames(f *testing.F) {
	f.Add(frame(0x82, 0x81, 0, 0, 0, 0, 'x'), uint8(1))
	f.Add(frame(0x02, 0x83, 1, 2, 3, 4, 'a', 'b', 'c'), uint8(3))
	f.Add(append(frame(0x89, 0x82, 9, 9, 9, 9, 'h', 'i'), frame(0x82, 0xFE, 0, 200, 0, 0, 0, 0)...), uint8(7))
	f.Fuzz(func(t *testing.T, in []byte, size uint8) {
		whole := readFrames(in, nil)
		if pieces := readFrames(in, iotest.OneByteReader); !bytes.Equal(whole, pieces) {
			t.Fatalf("%d bytes in one piece, %d in many", len(whole), len(pieces))
		}
		client, server := pair(t)
		go func() {
			for rest := in; len(rest) > 0; {
				n := min(len(rest), int(size)+1)
				if _, err := client.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
		}()
		got := make([]byte, len(in))
		if _, err := io.ReadFull(server, got); err != nil || !bytes.Equal(got, in) {
			t.Fatalf("%d bytes became others, or %v", len(in), err)
		}
	})
}

// readFrames gives what a server reads of frames.
func readFrames(in []byte, by func(io.Reader) io.Reader) []byte {
	var from io.Reader = bytes.NewReader(in)
	if by != nil {
		from = by(from)
	}
	near, far := net.Pipe()
	defer near.Close()
	go func() { _, _ = io.Copy(io.Discard, near) }()
	server := chisel.NewConn(&fed{Conn: far, from: from}, true, false)
	defer server.Close()
	out, _ := io.ReadAll(server)
	return out
}

// fed reads from elsewhere.
type fed struct {
	net.Conn
	from io.Reader
}

func (f *fed) Read(p []byte) (int, error) { return f.from.Read(p) }
