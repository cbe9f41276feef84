package edge_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/quota"
)

// paths are the two ways in which HTTP/1.1 is served.
var paths = map[string]func(*edge.Config){
	"relay":   func(c *edge.Config) { c.NetHTTPOnly, c.Logger = false, nil },
	"nethttp": func(c *edge.Config) { c.NetHTTPOnly, c.Logger = true, nil },
}

// muxMember opens streams on a session, at whose other end a blind agent answers
// every request with the same bytes.
type muxMember struct {
	*member
	session *mux.Session
}

func (m muxMember) Open(ctx context.Context, _ link.Header, first []byte) (link.Stream, error) {
	return m.session.Open(ctx, 1, first)
}

// agent answers the requests of each stream: none has a body.
func agent(session *mux.Session, text []byte) {
	for {
		_, s, err := session.Accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			var b [4096]byte
			for {
				if _, err := s.Read(b[:]); err != nil {
					return
				}
				_, _ = s.Write(text)
			}
		}()
	}
}

// roundTrips gives a function that makes one small GET on a kept connection: visitor in
// TCP, edge, mux in memory, blind agent.
func roundTrips(t testing.TB, path func(*edge.Config)) func() {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n%1024s", "")
	request := []byte("GET /path?query HTTP/1.1\r\nHost: app." + domain + "\r\nUser-Agent: benchmark/1.0\r\nAccept: */*\r\n\r\n")
	s := start(t, path)
	near, far := testkit.Pipe()
	m := muxMember{newMember(""), mux.New(near, mux.Config{})}
	peer := mux.New(far, mux.Config{Client: true})
	go agent(peer, answer)
	t.Cleanup(func() { m.stop(); m.session.Close(nil); peer.Close(nil) })
	m.meter = quota.New().Credential("ac_1", "cr_1")
	r := routeTo("http://app."+domain, single{m})
	r.Meter = m.meter.Account()
	s.add(r)
	conn := s.dial(s.http)
	got := make([]byte, 8<<10)
	size := 0 // of an answer
	return func() {
		_, err := conn.Write(request)
		must(t, err)
		for n := 0; n == 0 || n < size; {
			read, err := conn.Read(got[n:])
			must(t, err)
			if n += read; size == 0 {
				size = measure(t, got[:n], conn)
				return
			}
		}
	}
}

// Where nobody looks at requests, one on a kept connection costs the relay no memory:
// what is counted here are the fakes' own allocations, three for each.
func TestRelayAllocatesNothing(t *testing.T) {
	roundTrip := roundTrips(t, paths["relay"])
	roundTrip()
	if n := testing.AllocsPerRun(500, roundTrip); n > 4 {
		t.Errorf("%v allocations for a request", n)
	}
}

func BenchmarkGet(b *testing.B) {
	for name, path := range paths {
		b.Run(name, func(b *testing.B) {
			roundTrip := roundTrips(b, path)
			roundTrip()
			b.ReportAllocs()
			for b.Loop() {
				roundTrip()
			}
		})
	}
}

// measure is the length of an answer whose beginning is b.
func measure(t testing.TB, b []byte, rest io.Reader) int {
	counted := &counter{Reader: rest}
	response, err := http.ReadResponse(bufio.NewReader(io.MultiReader(&prefix{b}, counted)), nil)
	must(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	must(t, err)
	return len(b) + counted.n
}

type counter struct {
	io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += n
	return n, err
}

type prefix struct{ b []byte }

func (p *prefix) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.b)
	p.b = p.b[n:]
	return n, nil
}

// One small GET through TLS by net/http's client, over both versions of HTTP.
func BenchmarkClient(b *testing.B) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		b.Run(protocol, func(b *testing.B) {
			s := start(b)
			answer := make([]byte, 1024)
			s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write(answer) }))
			client := s.client(protocol)
			b.ReportAllocs()
			for b.Loop() {
				response, err := client.Get("https://app." + domain)
				must(b, err)
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		})
	}
}

// Body bytes of a download through TLS.
func BenchmarkDownload(b *testing.B) {
	const size = 16 << 20
	for name, path := range paths {
		b.Run(name, func(b *testing.B) {
			s := start(b, path)
			s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "16777216")
				_, _ = io.Copy(w, io.LimitReader(zeros{}, size))
			}))
			client := s.client("http/1.1")
			b.SetBytes(size)
			for b.Loop() {
				response, err := client.Get("https://app." + domain)
				must(b, err)
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		})
	}
}
