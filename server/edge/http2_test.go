package edge_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
)

// framer speaks HTTP/2 by hand.
func (s *site) framer() (net.Conn, *http2.Framer) {
	s.t.Helper()
	conn := s.dialTLS("app."+domain, "h2")
	_, err := io.WriteString(conn, http2.ClientPreface)
	must(s.t, err)
	f := http2.NewFramer(conn, conn)
	must(s.t, f.WriteSettings())
	return conn, f
}

func head(fields ...string) []byte { return headFor("/", fields...) }

// large asks for what is larger than any window.
func large() []byte { return headFor("/large") }

func headFor(path string, fields ...string) []byte {
	var block bytes.Buffer
	e := hpack.NewEncoder(&block)
	fields = append([]string{":method", "GET", ":scheme", "https", ":authority", "app." + domain, ":path", path}, fields...)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return block.Bytes()
}

// goAway reads until the server says so.
func goAway(f *http2.Framer) (http2.ErrCode, error) {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return 0, err
		}
		if g, ok := frame.(*http2.GoAwayFrame); ok && g.ErrCode != http2.ErrCodeNo {
			return g.ErrCode, nil
		}
	}
}

// B2 "HTTP/2 rapid reset" (CVE-2023-44487): however many streams are opened and reset,
// no more handlers run than streams are allowed, and the connection is ended.
func TestRapidReset(t *testing.T) {
	hold := make(chan struct{})
	var running, most atomic.Int64
	stubborn := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		now := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
		}
		<-hold // as one that does not notice the reset at once
	})
	s := start(t, func(c *config) { c.Hosts = map[postern.Hostname]http.Handler{"app." + domain: stubborn} })
	defer close(hold)
	_, f := s.framer()
	ended := make(chan http2.ErrCode, 1)
	go func() {
		code, _ := goAway(f)
		ended <- code
	}()
	for id := uint32(1); id < 200_000; id += 2 {
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: head(), EndHeaders: true, EndStream: true})
		if err == nil {
			err = f.WriteRSTStream(id, http2.ErrCodeCancel)
		}
		if err != nil {
			break // the server has had enough
		}
	}
	if code := <-ended; code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("ended with %v", code)
	}
	if n := most.Load(); n > 100 {
		t.Errorf("%d handlers at once", n)
	}
}

// B2 "CONTINUATION flood" (CVE-2023-45288).
func TestContinuationFlood(t *testing.T) {
	s := start(t)
	_, f := s.framer()
	ended := make(chan error, 1)
	go func() {
		_, err := goAway(f)
		ended <- err
	}()
	must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head()}))
	block := bytes.Repeat(head("x-filler", strings.Repeat("y", 1000))[len(head()):], 10)
	sent := 0
	for sent < 8<<20 && f.WriteContinuation(1, false, block) == nil {
		sent += len(block)
	}
	select {
	case <-ended: // GOAWAY, or the connection is gone
	case <-time.After(patience):
		t.Error("the flood goes on")
	}
	if sent >= 8<<20 {
		t.Errorf("%d bytes of header were taken", sent)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestStreamLimitIsAnnounced(t *testing.T) {
	s := start(t)
	_, f := s.framer()
	for {
		frame, err := f.ReadFrame()
		must(t, err)
		if settings, ok := frame.(*http2.SettingsFrame); ok && !settings.IsAck() {
			if n, _ := settings.Value(http2.SettingMaxConcurrentStreams); n != 100 {
				t.Errorf("%d streams", n)
			}
			return
		}
	}
}

// gRPC, end to end over HTTP/2: unary, streaming, trailers, errors; also where somebody
// sees heads and bytes, and could change bodies.
func TestGRPC(t *testing.T) {
	t.Run("alone", func(t *testing.T) { testGRPC(t) })
	t.Run("followed", func(t *testing.T) {
		told := new(story)
		testGRPC(t, subscribed(told, &rule{name: "all", needs: edge.NeedBytes | edge.NeedChange}))
		told.over(t, 5)
		if told.body("all", edge.Upload) == "" || told.body("all", edge.Download) == "" {
			t.Error("nothing was tapped")
		}
	})
}

func testGRPC(t *testing.T, change ...func(*config)) {
	s := start(t, change...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	server := grpc.NewServer()
	checks := health.NewServer()
	checks.SetServingStatus("here", healthpb.HealthCheckResponse_SERVING)
	healthpb.RegisterHealthServer(server, checks)
	go server.Serve(ln)
	defer server.Stop()
	m := s.serve("https://grpc."+domain, ln.Addr().String(), func(m *member) { m.options.UpstreamProtocol = postern.HTTP2 })

	conn, err := grpc.NewClient("passthrough:///grpc."+domain,
		grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(s.roots, "")),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", s.https)
		}))
	must(t, err)
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	client := healthpb.NewHealthClient(conn)
	for range 3 {
		answer, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "here"})
		must(t, err)
		if answer.Status != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("got %v", answer)
		}
	}
	if _, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "nowhere"}); status.Code(err) != codes.NotFound {
		t.Errorf("an error of the service: %v", err)
	}
	watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "here"})
	must(t, err)
	for _, want := range []healthpb.HealthCheckResponse_ServingStatus{healthpb.HealthCheckResponse_SERVING, healthpb.HealthCheckResponse_NOT_SERVING} {
		answer, err := watch.Recv()
		must(t, err)
		if answer.Status != want {
			t.Errorf("watching: %v", answer)
		}
		checks.SetServingStatus("here", healthpb.HealthCheckResponse_NOT_SERVING)
	}
	if n := m.opened.Load(); n != 1 {
		t.Errorf("%d streams for one HTTP/2 service", n)
	}
}

// Visitors of either version reach a service that speaks HTTP/2 only.
func TestHTTP2Upstream(t *testing.T) {
	s := start(t)
	upstream := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	}))
	upstream.Config.Protocols = new(http.Protocols)
	upstream.Config.Protocols.SetUnencryptedHTTP2(true)
	upstream.Start()
	defer upstream.Close()
	s.serve("https://app."+domain, upstream.Listener.Addr().String(), func(m *member) { m.options.UpstreamProtocol = postern.HTTP2 })
	for _, protocol := range []string{"http/1.1", "h2"} {
		if _, got := get(t, s.client(protocol), "https://app."+domain); got != "HTTP/2.0" {
			t.Errorf("%s: the service saw %s", protocol, got)
		}
	}
}

// result is what a client got that runs beside the test.
type result struct {
	text string
	err  error
}

func fetch(client *http.Client, url string) result {
	response, err := client.Get(url)
	if err != nil {
		return result{err: err}
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	return result{string(all), err}
}

// D14: HTTP/2 visitors get GOAWAY, requests in flight finish, nothing new is taken.
func TestShutdownDrains(t *testing.T) {
	s := start(t)
	arrived, finish := make(chan struct{}), make(chan struct{})
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-finish
		_, _ = io.WriteString(w, "done")
	}))
	results := make(chan result, 2)
	for _, protocol := range []string{"http/1.1", "h2"} {
		go func() { results <- fetch(s.client(protocol), "https://app."+domain) }()
		<-arrived
	}
	_, f := s.framer()
	must(t, f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head(), EndHeaders: true, EndStream: true}))
	<-arrived
	farewell := make(chan error, 1)
	go func() {
		for {
			frame, err := f.ReadFrame()
			if _, ok := frame.(*http2.GoAwayFrame); ok || err != nil {
				farewell <- err
				return
			}
		}
	}()
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		ended <- s.edge.Shutdown(ctx)
	}()
	eventually(t, "nothing new is accepted", func() bool {
		conn, err := net.Dial("tcp", s.https)
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	if err := <-farewell; err != nil {
		t.Errorf("instead of GOAWAY: %v", err)
	}
	close(finish)
	for range 2 {
		if r := <-results; r.text != "done" || r.err != nil {
			t.Errorf("in flight: %+v", r)
		}
	}
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
}
