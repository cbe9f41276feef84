package session_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/link"
)

// watcher keeps what it is shown, and refuses to look at some endpoints.
type watcher struct {
	mu      sync.Mutex
	blindTo string
	asked   []string
	seen    []*seen
	began   int
	took    []time.Duration
}

type seen struct {
	mu               sync.Mutex
	visitor, service bytes.Buffer
	ends             []error
}

func (w *watcher) Stream(endpoint string, visitor netip.AddrPort, scheme postern.Scheme) session.StreamTap {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, endpoint+" "+visitor.String()+" "+string(scheme))
	if endpoint == w.blindTo {
		return nil
	}
	s := &seen{}
	w.seen = append(w.seen, s)
	return s
}

func (w *watcher) StreamBegan(string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.began++
}

func (w *watcher) StreamEnded(_ string, took time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took = append(w.took, took)
}

func (s *seen) FromVisitor(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visitor.Write(p)
}

func (s *seen) FromService(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.service.Write(p)
}

func (s *seen) End(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends = append(s.ends, err)
}

// visit serves one stream and returns the visitor's end of it.
func visit(t *testing.T, serve func(context.Context, link.Stream)) net.Conn {
	t.Helper()
	visitor, agent := testkit.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(ctx, &stream{PipeConn: agent.(*testkit.PipeConn)})
	}()
	t.Cleanup(func() {
		cancel()
		visitor.Close()
		<-done
	})
	_ = visitor.SetDeadline(time.Now().Add(20 * time.Second))
	return visitor
}

// upcase is a service that answers in capitals.
func upcase(t testing.TB) session.Upstream {
	return service(t, func(conn net.Conn) {
		text, _ := io.ReadAll(conn)
		_, _ = conn.Write(bytes.ToUpper(text))
	})
}

func service(t testing.TB, serve func(net.Conn)) session.Upstream {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	upstream, err := session.ParseUpstream(listener.Addr().String(), postern.HTTPS)
	if err != nil {
		t.Fatal(err)
	}
	return upstream
}

func TestTapSeesBothDirections(t *testing.T) {
	forward := &session.Forward{Upstream: upcase(t), Logger: testkit.Logger(t)}
	looks := &seen{}
	text := bytes.Repeat([]byte("hello "), 40_000)
	served := make(chan struct{})
	visitor := visit(t, func(ctx context.Context, s link.Stream) {
		defer close(served)
		forward.ServeTapped(ctx, link.Header{}, s, looks)
	})
	go func() {
		_, _ = visitor.Write(text)
		_ = visitor.(interface{ CloseWrite() error }).CloseWrite()
	}()
	got, err := io.ReadAll(visitor)
	if err != nil || !bytes.Equal(got, bytes.ToUpper(text)) {
		t.Fatalf("the visitor read %d bytes, %v", len(got), err)
	}
	<-served
	if !bytes.Equal(looks.visitor.Bytes(), text) || !bytes.Equal(looks.service.Bytes(), got) || len(looks.ends) != 1 || looks.ends[0] != nil {
		t.Errorf("saw %d and %d bytes of %d, and ends %v", looks.visitor.Len(), looks.service.Len(), len(text), looks.ends)
	}
}

// What a visitor asks a service that is down is what its owner wants to see.
func TestTapSeesWhatNobodyAnswered(t *testing.T) {
	upstream, _ := session.ParseUpstream(ports.Address(t), postern.HTTPS)
	forward := &session.Forward{Upstream: upstream}
	looks := &seen{}
	visitor, agent := testkit.Pipe()
	defer visitor.Close()
	_, _ = io.WriteString(visitor, "GET / HTTP/1.1\r\n\r\n")
	forward.ServeTapped(t.Context(), link.Header{}, &stream{PipeConn: agent.(*testkit.PipeConn)}, looks)
	if looks.visitor.String() != "GET / HTTP/1.1\r\n\r\n" || len(looks.ends) != 1 || !postern.HasCode(looks.ends[0], postern.CodeUpstreamUnreachable) {
		t.Errorf("saw %q, and ends %v", looks.visitor.String(), looks.ends)
	}
}

// The PROXY header is the service's, and none of the visitor's words.
func TestTapDoesNotSeeThePROXYHeader(t *testing.T) {
	forward := &session.Forward{Upstream: upcase(t), ProxyProtocol: 1}
	looks := &seen{}
	served := make(chan struct{})
	visitor := visit(t, func(ctx context.Context, s link.Stream) {
		defer close(served)
		forward.ServeTapped(ctx, link.Header{}, s, looks)
	})
	_, _ = io.WriteString(visitor, "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\nhello")
	_ = visitor.(interface{ CloseWrite() error }).CloseWrite()
	if got, err := io.ReadAll(visitor); string(got) != "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\nHELLO" || err != nil {
		t.Errorf("the service got %q, %v", got, err)
	}
	<-served
	if got := looks.visitor.String(); got != "hello" {
		t.Errorf("saw %q", got)
	}
}

// Streams are counted and timed whether anybody looks or not, and only those that a
// Tap wants to see are shown to it.
func TestTapsAndMetersOfASupervisor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w := &server{}, &watcher{blindTo: "blind"}
		files, err := session.NewFiles(t.TempDir(), nil)
		if err != nil {
			t.Fatal(err)
		}
		endpoints := []session.Endpoint{webEndpoint("web", files), webEndpoint("blind", files), webEndpoint("other", echo)}
		endpoints[0].Also = []postern.Scheme{postern.HTTP}
		for i := range endpoints {
			endpoints[i].Tap = w
		}
		r := run(t, session.Config{Connect: s.Connect, Meter: w, Endpoints: endpoints})
		synctest.Wait()
		for _, id := range []string{"bind1", "bind2", "bind3", "bind4"} {
			visitor := s.current().open(id)
			_, _ = io.WriteString(visitor, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			time.Sleep(time.Second)
			visitor.Close()
		}
		synctest.Wait()
		if want := 3; len(w.asked) != want || len(w.seen) != 2 || w.began != 4 || len(w.took) != 4 || w.took[0] != time.Second {
			t.Errorf("asked %q, %d looked at, %d began, took %v", w.asked, len(w.seen), w.began, w.took)
		}
		for _, e := range r.Endpoints() {
			if e.Streams != (session.Counts{Total: 1}) {
				t.Errorf("%s: %+v", e.Label, e.Streams)
			}
		}
		for _, looks := range w.seen {
			if len(looks.ends) != 1 || looks.visitor.Len() == 0 || !bytes.HasPrefix(looks.service.Bytes(), []byte("HTTP/1.1 200")) {
				t.Errorf("saw %q, %q, ends %v", &looks.visitor, &looks.service, looks.ends)
			}
		}
		r.stop()
	})
}

// eitherWay tells how it was called.
type eitherWay struct {
	mu   sync.Mutex
	said []string
	came []link.Stream
}

func (e *eitherWay) ServeStream(_ context.Context, _ link.Header, s link.Stream) { e.note("blind", s) }

func (e *eitherWay) ServeTapped(_ context.Context, _ link.Header, s link.Stream, tap session.StreamTap) {
	e.note("tapped", s)
	tap.End(nil)
}

func (e *eitherWay) note(how string, s link.Stream) {
	defer s.Close()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.said, e.came = append(e.said, how), append(e.came, s)
}

// A stream that nobody looks at goes to the relay as it came, with nothing around it.
func TestBlindStreamsAreNotWrapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, w, h := &server{}, &watcher{blindTo: "blind"}, &eitherWay{}
		noTap, blind, tapped := webEndpoint("no tap", h), webEndpoint("blind", h), webEndpoint("tapped", h)
		blind.Tap, tapped.Tap = w, w
		r := run(t, session.Config{Connect: s.Connect, Endpoints: []session.Endpoint{noTap, blind, tapped}})
		synctest.Wait()
		for _, id := range []string{"bind1", "bind2", "bind3"} {
			s.current().open(id).Close()
			synctest.Wait()
		}
		if want := []string{"blind", "blind", "tapped"}; !slices.Equal(h.said, want) {
			t.Errorf("served %v, want %v", h.said, want)
		}
		for _, came := range h.came {
			if _, plain := came.(*stream); !plain {
				t.Errorf("a handler got a %T", came)
			}
		}
		r.stop()
	})
}

// One connection's bytes through Forward, with somebody who looks and without.
func BenchmarkForward(b *testing.B) {
	for _, looked := range []bool{false, true} {
		b.Run(map[bool]string{false: "blind", true: "tapped"}[looked], func(b *testing.B) {
			forward := &session.Forward{Upstream: echoService(b)}
			visitor, agent := testkit.Pipe()
			done := make(chan struct{})
			go func() {
				defer close(done)
				s := &stream{PipeConn: agent.(*testkit.PipeConn)}
				if looked {
					forward.ServeTapped(b.Context(), link.Header{}, s, idleTap{})
					return
				}
				forward.ServeStream(b.Context(), link.Header{}, s)
			}()
			message := make([]byte, 16<<10)
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := visitor.Write(message); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(visitor, message); err != nil {
					b.Fatal(err)
				}
			}
			visitor.Close()
			<-done
		})
	}
}

type idleTap struct{}

func (idleTap) FromVisitor([]byte) {}
func (idleTap) FromService([]byte) {}
func (idleTap) End(error)          {}

func echoService(t testing.TB) session.Upstream {
	return service(t, func(conn net.Conn) { _, _ = io.Copy(conn, conn) })
}
