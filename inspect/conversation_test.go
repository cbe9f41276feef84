package inspect_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/inspect"
)

// watched is a connection whose bytes are read along, a piece at a time.
type watched struct {
	net.Conn
	stream *inspect.Stream
	piece  int
}

func (w *watched) show(p []byte, to func([]byte)) {
	for len(p) > 0 {
		n := min(len(p), w.piece)
		to(p[:n])
		p = p[n:]
	}
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.show(p[:n], w.stream.FromService)
	return n, err
}

func (w *watched) Write(p []byte) (int, error) {
	w.show(p, w.stream.FromVisitor)
	return w.Conn.Write(p)
}

// overHTTP2 has a real client ask a real service over a connection that s reads along.
func overHTTP2(t *testing.T, s *inspect.Stream, piece int, service http.HandlerFunc) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := httptest.NewUnstartedServer(service)
	server.Config.Protocols = protocols
	server.Start()
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
		return &watched{conn, s, piece}, err
	}
	transport := &http.Transport{Protocols: protocols, DialContext: dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	})
	return &http.Client{Transport: transport}
}

// Services that speak HTTP/2 are looked at too: heads, bodies, trailers, times.
func TestHTTP2(t *testing.T) {
	for _, piece := range []int{1, 7, 64 << 10} {
		r, s := record(t, 0)
		client := overHTTP2(t, s, piece, func(w http.ResponseWriter, q *http.Request) {
			body, _ := io.ReadAll(q.Body)
			w.Header().Set("Trailer", "X-Sum")
			w.Header().Set("X-Long", strings.Repeat("long ", 8000)) // needs a continuation
			w.WriteHeader(http.StatusCreated)
			fmt.Fprintf(w, "%s %s", q.URL, body)
			w.Header().Set("X-Sum", "7")
		})
		for i := range 3 { // later heads refer to earlier ones
			q, _ := http.NewRequestWithContext(t.Context(), "POST", fmt.Sprintf("http://app.example.com/a?n=%d", i), strings.NewReader("hello"))
			q.Header.Set("X-Forwarded-For", "10.9.9.9, 203.0.113.5")
			w, err := client.Do(q)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, w.Body)
			_ = w.Body.Close()
		}
		all := r.Store().List(inspect.Filter{}, 0)
		if len(all) != 3 {
			t.Fatalf("%d exchanges in pieces of %d", len(all), piece)
		}
		x := all[0]
		method, target, protocol := x.Request.RequestLine()
		if method != "POST" || target != "/a?n=2" || protocol != "HTTP/2.0" || string(x.Request.Body()) != "hello" || x.Remote != "203.0.113.5" ||
			!strings.Contains(string(x.Request.Raw), "\r\nhost: app.example.com\r\n") {
			t.Errorf("request %q of %s", x.Request.Raw, x.Remote)
		}
		_, status, code := x.Response.StatusLine()
		if status != "201 Created" || code != 201 || string(x.Response.Body()) != "/a?n=2 hello" || string(x.Response.Trailers) != "x-sum: 7\r\n" ||
			!x.Done || x.Problem != "" || x.Duration <= 0 || len(x.Response.Raw) < 40000 {
			t.Errorf("answer %q %+v", x.Response.Body(), x)
		}
		if n := r.Meters("web").Requests.Numbers(time.Now()); n.Count != 3 || n.Gauge != 0 || n.P50 <= 0 {
			t.Errorf("%+v", n)
		}
		if err := r.Replay(t.Context(), x.ID, "", nil); !postern.HasCode(err, postern.CodeReplayImpossible) {
			t.Errorf("sent again over HTTP/1.1: %v", err)
		}
	}
}

// Requests that go on at once are told apart, and one that is given up says so.
func TestHTTP2AtOnce(t *testing.T) {
	r, s := record(t, 0)
	begun, left := make(chan struct{}), make(chan struct{})
	client := overHTTP2(t, s, 64<<10, func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/gone" {
			close(begun)
			<-q.Context().Done()
			close(left)
			return
		}
		_, _ = io.WriteString(w, q.URL.Path)
	})
	gone, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked sync.WaitGroup
	asked.Go(func() {
		q, _ := http.NewRequestWithContext(gone, "GET", "http://h/gone", nil)
		if w, err := client.Do(q); err == nil {
			_ = w.Body.Close()
		}
	})
	<-begun
	for i := range 8 {
		asked.Go(func() {
			w, err := client.Get(fmt.Sprintf("http://h/%d", i))
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, w.Body)
			_ = w.Body.Close()
			if i == 7 {
				cancel()
			}
		})
	}
	asked.Wait()
	<-left // the client says so after it has returned
	for _, x := range r.Store().List(inspect.Filter{}, 0) {
		_, target, _ := x.Request.RequestLine()
		if target == "/gone" {
			if x.Problem == "" || x.Response != nil || !x.Done {
				t.Errorf("%+v", x)
			}
		} else if x.Response == nil || string(x.Response.Body()) != target || !x.Done {
			t.Errorf("%s: %+v", target, x)
		}
	}
	if n := r.Meters("web").Requests.Numbers(time.Now()); n.Count != 9 || n.Gauge != 0 {
		t.Errorf("%+v", n)
	}
}

// http2Request is a preface and a request with the lines.
func http2Request(lines ...string) []byte {
	var block, out bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(lines); i += 2 {
		_ = encoder.WriteField(hpack.HeaderField{Name: lines[i], Value: lines[i+1]})
	}
	out.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&out, nil)
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	return out.Bytes()
}

// What HTTP/2 may send and HTTP/1.1 may not neither makes other lines nor fills memory.
func TestHTTP2Hostile(t *testing.T) {
	r, s := record(t, 0)
	s.FromVisitor(http2Request(":method", "GET", ":path", "/ HTTP/1.1\r\nHost: evil", ":authority", "h\r\nX: 1", "x-a", "1\r\nX-Admin: 1\r\n\r\nbody", "x b", "2"))
	x := r.Store().List(inspect.Filter{}, 1)[0]
	names := map[string]string{}
	for name, value := range x.Request.Lines() {
		names[strings.ToLower(name)] = value
	}
	if len(names) != 2 || !strings.Contains(names["x-a"], "X-Admin") || len(x.Request.Body()) != 0 {
		t.Errorf("%q", x.Request.Raw)
	}

	// One line of four thousand bytes in the table, and many references to it.
	lines := []string{":method", "GET", ":path", "/"}
	for range 3000 {
		lines = append(lines, "x-big", strings.Repeat("b", 3900))
	}
	r, s = record(t, 0)
	s.FromVisitor(http2Request(lines...))
	if x = r.Store().List(inspect.Filter{}, 1)[0]; len(x.Request.Raw) > 70<<10 || !x.Request.Cut {
		t.Errorf("%d bytes of a head are kept", len(x.Request.Raw))
	}

	// A head without an end.
	var endless bytes.Buffer
	endless.WriteString(http2.ClientPreface)
	framer := http2.NewFramer(&endless, nil)
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: make([]byte, 16000)})
	for range 100 {
		_ = framer.WriteContinuation(1, false, make([]byte, 16000))
	}
	r, s = record(t, 0)
	s.FromVisitor(endless.Bytes())
	if n := len(r.Store().List(inspect.Filter{}, 0)); n != 0 {
		t.Errorf("%d exchanges", n)
	}
}

// Whatever comes, and however it is cut, nothing panics, the store stays within its
// bound, and all that begins ends.
func FuzzFrames(f *testing.F) {
	f.Add(http2Request(":method", "GET", ":path", "/", "x-a", "b"), []byte("\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88"), 3)
	f.Add([]byte(http2.ClientPreface+"\x00\x00\x03\x00\x09\x00\x00\x00\x01\x05ab"), []byte("\x00\x00\x04\x03\x00\x00\x00\x00\x01\x00\x00\x00\x08"), 1)
	f.Fuzz(func(t *testing.T, asked, answered []byte, piece int) {
		const most = 64 << 10
		r := inspect.NewRecorder(inspect.NewStore(most), -1)
		s := r.Stream("web", netip.AddrPort{})
		w := &watched{piece: max(1, piece)}
		if !bytes.HasPrefix(asked, []byte(http2.ClientPreface)) {
			asked = append([]byte(http2.ClientPreface), asked...)
		}
		w.show(asked, s.FromVisitor)
		w.show(answered, s.FromService)
		s.End(nil)
		if held := r.Store().Bytes(); held > most {
			t.Errorf("%d bytes are held", held)
		}
		for _, x := range r.Store().List(inspect.Filter{}, 0) {
			if !x.Done || len(x.Request.Raw) < x.Request.Head {
				t.Errorf("%+v", x)
			}
		}
		if n := r.Meters("web").Requests.Numbers(time.Now()); n.Gauge != 0 {
			t.Errorf("%d requests never end", n.Gauge)
		}
	})
}
