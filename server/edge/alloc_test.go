package edge_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// canned is a stream whose service answers every request with the same bytes, and
// allocates nothing for it.
type canned struct {
	answer []byte
	mu     sync.Mutex
	turn   sync.Cond
	left   []byte // of the answer under way
	closed bool
}

func newCanned(answer []byte) *canned {
	c := &canned{answer: answer}
	c.turn.L = &c.mu
	return c
}

func (c *canned) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.left = c.answer // requests come whole
	c.turn.Broadcast()
	return len(b), nil
}

func (c *canned) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.left) == 0 && !c.closed {
		c.turn.Wait()
	}
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *canned) Readable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.left) > 0 || c.closed
}

func (c *canned) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.turn.Broadcast()
	return nil
}

func (c *canned) CloseWrite() error                { return nil }
func (c *canned) Reset(*postern.Error)             { _ = c.Close() }
func (c *canned) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *canned) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// cannedMember opens canned streams.
type cannedMember struct {
	*member
	answer []byte
}

func (m cannedMember) Open(_ context.Context, _ link.Header, first []byte) (link.Stream, error) {
	s := newCanned(m.answer)
	if len(first) > 0 {
		_, _ = s.Write(first)
	}
	return s, nil
}

// Begin counts nothing.
func (m cannedMember) Begin() func(bool) { return reached }

func reached(bool) {}

// canned puts an endpoint online whose service is free, with a policy or, nil, without.
func (s *site) canned(url string, p *policy.Program) {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n%1024s", "")
	m := cannedMember{newMember(""), answer}
	s.t.Cleanup(m.stop)
	m.meter, m.policy = quota.New().Credential("ac_1", "cr_1"), p
	r := routeTo(url, single{m})
	r.Account, r.Meter, r.Policies = "ac_1", m.meter.Account(), policies(p)
	if r.URL.Host.Internal() {
		r.URL = r.URL.Within(r.Account)
	}
	s.add(r)
}

// exchanges gives a function that makes one request on a kept connection, over TCP; the
// service is free.
func exchanges(t testing.TB, request string, change ...func(*edge.Config)) func() {
	return exchangesWith(t, request, nil, change...)
}

// exchangesWith is exchanges with a policy.
func exchangesWith(t testing.TB, request string, p *policy.Program, change ...func(*edge.Config)) func() {
	s := start(t, change...)
	s.canned("http://app."+domain, p)
	s.canned("http://app.internal", nil) // to which policies may forward
	conn := s.dial(s.http)
	must(t, conn.SetDeadline(time.Time{}))
	sent, got, size := []byte(request), make([]byte, 8<<10), 0
	return func() {
		_, err := conn.Write(sent)
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

const (
	smallGet  = "GET /path?query HTTP/1.1\r\nHost: app." + domain + "\r\nUser-Agent: benchmark/1.0\r\nAccept: */*\r\n\r\n"
	smallPost = "POST /path HTTP/1.1\r\nHost: app." + domain + "\r\nUser-Agent: benchmark/1.0\r\nContent-Length: 5\r\n\r\nhello"
	chunkPost = "POST /path HTTP/1.1\r\nHost: app." + domain + "\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
)

// watcher follows requests in every way that the relay serves, and allocates nothing.
type watcher struct {
	edge.Passive
	needs edge.Needs
	bytes int
}

// Subscribe implements edge.Subscriber.
func (w *watcher) Subscribe(*route.Route) edge.Subscription {
	return edge.Subscription{Needs: w.needs, Follow: w.follow}
}

func (w *watcher) follow(*edge.Exchange) edge.Follower { return w }

func (w *watcher) Tap(_ *edge.Exchange, _ edge.Direction, b []byte) { w.bytes += len(b) }

// kinds are sets of subscribers, and what a request on a kept connection may allocate
// with them on the relay.
var kinds = []struct {
	name   string
	change func(*edge.Config)
	most   float64
}{
	{"nobody", func(*edge.Config) {}, 0},
	{"metrics", func(c *edge.Config) { c.Metrics = prometheus.NewRegistry() }, 0},
	{"outcome", watched(edge.NeedOutcome), 0},
	{"bytes", watched(edge.NeedBytes), 0},
	{"head", watched(edge.NeedHead), 1}, // the target as text
	{"access log", func(c *edge.Config) { c.AccessLog = slog.New(slog.NewJSONHandler(io.Discard, nil)) }, 30},
}

func watched(needs edge.Needs) func(*edge.Config) {
	return func(c *edge.Config) { c.Subscribers = []edge.Subscriber{&watcher{needs: needs}} }
}

func relayAlone(c *edge.Config) { c.NetHTTPOnly, c.Logger = false, nil }

// A request on a kept connection costs the relay no memory: nothing for the exchange,
// nothing for subscribers that do not look, nor for those that count. All that the
// process allocates is counted.
func TestKeptConnectionsAllocateNothing(t *testing.T) {
	for what, request := range map[string]string{"GET": smallGet, "POST": smallPost, "chunks": chunkPost} {
		for _, k := range kinds {
			t.Run(what+" "+k.name, func(t *testing.T) {
				exchange := exchanges(t, request, relayAlone, k.change)
				for range 10 {
					exchange()
				}
				if n := testing.AllocsPerRun(300, exchange); n > k.most {
					t.Errorf("%v allocations for a request, want at most %v", n, k.most)
				}
			})
		}
	}
}

func BenchmarkExchange(b *testing.B) {
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			exchange := exchanges(b, smallGet, relayAlone, k.change)
			exchange()
			b.ReportAllocs()
			for b.Loop() {
				exchange()
			}
		})
	}
}

var _ link.Stream = (*canned)(nil)
