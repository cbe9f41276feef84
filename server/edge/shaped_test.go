package edge_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
)

func tlsClient(conn net.Conn, name string) *tls.Conn {
	return tls.Client(conn, &tls.Config{ServerName: name})
}

// hurried are timeouts that a shaped transfer outlasts by far: pauses are nobody's
// slowness.
func hurried(c *edge.Config) {
	c.Timeouts.Patience, c.Timeouts.Transfer, c.Timeouts.ResponseHeader = 300*time.Millisecond, 300*time.Millisecond, 600*time.Millisecond
}

const (
	shapedRate = 64 << 10
	shapedSize = 3 * shapedRate // a second's worth comes at once, the rest takes two
)

// shaped has do move shapedSize bytes, and checks how long it takes.
func shaped(t *testing.T, do func()) {
	t.Helper()
	began := time.Now()
	do()
	if took := time.Since(began); took < 1700*time.Millisecond || took > 8*time.Second {
		t.Errorf("%d bytes at %d a second took %v", shapedSize, shapedRate, took)
	}
}

func TestBytesAreShaped(t *testing.T) {
	whole := bytes.Repeat([]byte("0123456789abcdef"), shapedSize/16)
	service := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write(whole)
			return
		}
		if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("the service got %d bytes, %v", len(got), err)
		}
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run("download "+protocol, func(t *testing.T) {
			t.Parallel()
			s := start(t, hurried)
			s.serve("https://app."+domain, s.upstream(service), slow())
			shaped(t, func() {
				r, err := s.client(protocol).Get("https://app." + domain)
				must(t, err)
				if body(t, r) != string(whole) {
					t.Error("other bytes came")
				}
			})
		})
		t.Run("upload "+protocol, func(t *testing.T) {
			t.Parallel()
			s := start(t, hurried)
			s.serve("https://app."+domain, s.upstream(service), slow())
			shaped(t, func() {
				r, err := s.client(protocol).Post("https://app."+domain, "application/octet-stream", bytes.NewReader(whole))
				must(t, err)
				if r.StatusCode != http.StatusOK {
					t.Errorf("got %d %s", r.StatusCode, body(t, r))
				}
				_ = body(t, r)
			})
		})
	}
	t.Run("requests", func(t *testing.T) {
		t.Parallel()
		s := start(t, hurried)
		part := whole[:8<<10]
		s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(part) }), slow())
		client := s.client("http/1.1")
		shaped(t, func() {
			for range shapedSize / len(part) {
				r, err := client.Get("https://app." + domain)
				must(t, err)
				if text := body(t, r); text != string(part) {
					t.Fatalf("got %d %d bytes", r.StatusCode, len(text))
				}
			}
		})
	})
	t.Run("websocket", func(t *testing.T) {
		t.Parallel()
		s := start(t, hurried)
		s.serve("https://app."+domain, s.upstream(echoSocket), slow())
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		conn, _, err := websocket.Dial(ctx, "wss://app."+domain, &websocket.DialOptions{HTTPClient: s.client("http/1.1")})
		must(t, err)
		defer conn.CloseNow()
		conn.SetReadLimit(1 << 20)
		shaped(t, func() { // both directions together
			must(t, conn.Write(ctx, websocket.MessageBinary, whole[:len(whole)/2]))
			_, got, err := conn.Read(ctx)
			must(t, err)
			if !bytes.Equal(got, whole[:len(whole)/2]) {
				t.Error("other bytes came")
			}
		})
	})
	for _, scheme := range []string{"tcp", "tls"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			s := start(t, hurried)
			upstream := rawUpstream(t, echo)
			var conn interface {
				net.Conn
				CloseWrite() error
			}
			if scheme == "tcp" {
				addr, _ := s.tcpPort(upstream, slow())
				conn = s.dial(addr)
			} else {
				s.serve("tls://own."+domain, upstream, slow(), func(m *member) { m.options.Termination = postern.AtEdge })
				conn = s.dialTLS("own." + domain)
			}
			shaped(t, func() {
				_, err := conn.Write(whole[:len(whole)/2])
				must(t, err)
				must(t, conn.CloseWrite())
				got, err := io.ReadAll(conn)
				must(t, err)
				if !bytes.Equal(got, whole[:len(whole)/2]) {
					t.Error("other bytes came")
				}
			})
		})
	}
}

// slow gives a test a meter of its own.
func slow() func(*member) {
	return metered(postern.Limits{}, postern.Limits{BytesPerSecond: shapedRate})
}

// Whoever leaves while the account owes hours is not waited for, and neither is one who
// waits when the limit is lifted.
func TestPausesEnd(t *testing.T) {
	hold := func(t *testing.T, s *site) *member {
		m := s.serve("https://app."+domain, s.upstream(answerOK), metered(postern.Limits{}, postern.Limits{BytesPerSecond: 1 << 10}))
		m.meter.Out(10 << 20) // three hours
		return m
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run("visitor "+protocol, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			m := hold(t, s)
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://app."+domain, nil)
			must(t, err)
			done := make(chan error, 1)
			go func() {
				r, err := s.client(protocol).Do(request)
				if err == nil {
					_ = r.Body.Close()
				}
				done <- err
			}()
			eventually(t, "the request waits", func() bool { return m.meter.Usage().Connections == 1 })
			leave()
			if err := <-done; err == nil {
				t.Error("it was answered")
			}
			eventually(t, "its place is free", func() bool { return m.meter.Usage().Connections == 0 })
			if m.opened.Load() != 0 {
				t.Error("a stream was opened")
			}
		})
	}
	t.Run("tunnel", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		addr, m := s.tcpPort(rawUpstream(t, echo), metered(postern.Limits{}, postern.Limits{BytesPerSecond: 1 << 10}))
		m.meter.Out(10 << 20)
		conn := s.dial(addr)
		_, err := io.WriteString(conn, "hello")
		must(t, err)
		eventually(t, "it is there", func() bool { return m.meter.Usage().Connections == 1 })
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		_ = s.edge.Shutdown(ended)
		if _, err := io.ReadAll(conn); err == nil {
			t.Error("a clean end")
		}
		eventually(t, "its place is free", func() bool { return m.meter.Usage().Connections == 0 })
	})
}

// Many who share a rate each wait for longer than anybody has patience with visitors.
func TestManyAreShapedTogether(t *testing.T) {
	const streams, size, rate = 8, 256 << 10, 384 << 10
	whole := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := start(t, hurried)
			s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
				if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, whole) {
					t.Errorf("the service got %d bytes, %v", len(got), err)
				}
				_, _ = w.Write(whole[:size/4])
			}), metered(postern.Limits{BytesPerSecond: rate}, postern.Limits{}))
			client := s.client(protocol)
			client.Timeout = 3 * patience
			var all sync.WaitGroup
			began := time.Now()
			for range streams {
				all.Go(func() {
					r, err := client.Post("https://app."+domain, "application/octet-stream", bytes.NewReader(whole))
					if err != nil {
						t.Error(err)
						return
					}
					defer r.Body.Close()
					if got, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(got, whole[:size/4]) {
						t.Errorf("got %d and %d bytes, %v", r.StatusCode, len(got), err)
					}
				})
			}
			all.Wait()
			if took, least := time.Since(began), time.Duration(streams*size*5/4/rate-1)*time.Second; took < least-300*time.Millisecond {
				t.Errorf("took %v, want at least %v", took, least)
			}
		})
	}
}
