package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// The faults of docs/promises.md, each with the outcome that it promises. Every
// test ends with the server's goroutines, descriptors and heap back where they
// were.

// baseline is what the server holds at rest.
type baseline struct{ goroutines, descriptors, heap float64 }

func (s *server) baseline() baseline {
	s.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	var held program.Holding
	for range 2 { // what lies in pools is garbage only at the second collection
		var err error
		if held, err = s.Holding(); err != nil {
			s.t.Fatal(err)
		}
	}
	return baseline{float64(held.Goroutines), float64(held.Descriptors), float64(held.Heap)}
}

// returnsTo waits until the server holds no more than before, with room for the
// test's own connections and, in the heap, for caches that are filled once.
func (s *server) returnsTo(before baseline) {
	s.t.Helper()
	const heapRoom = 4 << 20
	defer s.showGoroutines()
	eventually(s.t, 60*time.Second, func() error {
		now := s.baseline()
		if now.goroutines > before.goroutines*1.05+6 || now.descriptors > before.descriptors*1.05+4 || now.heap > before.heap*1.05+heapRoom {
			return fmt.Errorf("the server holds %+v, before the fault %+v", now, before)
		}
		return nil
	})
}

// slowBody is an upstream whose answer starts at once and goes on until release.
func slowBody(t *testing.T) (address string, release chan struct{}) {
	t.Helper()
	release = make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			io.WriteString(w, "quick")
			return
		}
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "12345")
		w.(http.Flusher).Flush()
		select {
		case <-release:
			io.WriteString(w, "67890")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(upstream.Close)
	return upstream.URL, release
}

// startSlow begins the request and returns once its head is there.
func startSlow(t *testing.T, client *http.Client, url string) *http.Response {
	t.Helper()
	response, err := client.Get(url + "/slow")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	return response
}

// B5-1
func TestAgentKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	upstream, _ := slowBody(t)
	before := s.baseline()
	agent, url := s.agent("http", upstream, "--name", "app")
	visitor := s.visitor()
	inFlight := startSlow(t, visitor, url)
	agent.signal(syscall.SIGKILL)

	if body, err := io.ReadAll(inFlight.Body); err == nil {
		t.Errorf("the transfer that was cut ended cleanly after %q", body)
	}
	eventually(t, time.Second, func() error {
		response, body, err := tryFetch(visitor, url)
		if err != nil {
			return err
		}
		if code := response.Header.Get("Ngrok-Error-Code"); response.StatusCode != 404 || code != "ERR_NGROK_3200" {
			return fmt.Errorf("%s %s %s", response.Status, code, tail(body, 200))
		}
		return nil
	})
	_, again := s.agent("http", upstream, "--name", "app")
	if again != url {
		t.Errorf("the URL was %s and is %s now", url, again)
	}
	visitor.CloseIdleConnections()
	stopAgents(t, s)
	s.returnsTo(before)
}

// stopAgents ends every agent process of the test politely, so that a baseline
// taken before they started can be compared.
func stopAgents(t *testing.T, s *server) {
	t.Helper()
	for _, agent := range s.agents {
		if !agent.exited() {
			agent.signal(syscall.SIGTERM)
			agent.wait(35 * time.Second)
		}
	}
}

// B5-2
func TestAgentTerminated(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	upstream, release := slowBody(t)
	before := s.baseline()
	first, url := s.agent("http", upstream, "--url", "https://app."+domain, "--pooling-enabled")
	visitor := s.visitor()
	inFlight := startSlow(t, visitor, url)
	s.agent("http", upstream, "--url", "https://app."+domain, "--pooling-enabled")

	first.signal(syscall.SIGTERM)
	for range 50 {
		if response, body := fetch(t, visitor, url); response.StatusCode != 200 || body != "quick" {
			t.Fatalf("a request failed while one of two agents drained: %s %s", response.Status, tail(body, 200))
		}
	}
	close(release)
	if body, err := io.ReadAll(inFlight.Body); err != nil || string(body) != "1234567890" {
		t.Errorf("the request in flight got %q, %v", body, err)
	}
	if code := first.wait(30 * time.Second); code != 0 {
		t.Errorf("the agent left with %d", code)
	}
	visitor.CloseIdleConnections()
	stopAgents(t, s)
	s.returnsTo(before)
}

// B5-3
func TestServerKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	upstream, _ := slowBody(t)
	_, url := s.agent("http", upstream)
	_, port := s.agent("tcp", strings.TrimPrefix(upstream, "http://"))
	before := s.baseline()
	inFlight := startSlow(t, s.visitor(), url)

	s.restart()
	if body, err := io.ReadAll(inFlight.Body); err == nil {
		t.Errorf("the transfer that was cut ended cleanly after %q", body)
	}
	visitor := s.visitor()
	awaitBody(t, visitor, url, "quick", time.Second)
	eventually(t, time.Second, func() error {
		_, _, err := tryFetch(visitor, strings.Replace(port, "tcp://tcp."+domain, "http://127.0.0.1", 1))
		return err
	})
	visitor.CloseIdleConnections()
	s.returnsTo(before) // of the new process, to what the old one held
}

// B5-4
func TestServerTerminated(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	upstream, release := slowBody(t)
	_, url := s.agent("http", upstream)
	before := s.baseline()
	inFlight := startSlow(t, s.visitor(), url)

	s.process.signal(syscall.SIGTERM)
	eventually(t, 5*time.Second, func() error {
		response, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/readyz", s.admin))
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable {
			return fmt.Errorf("readyz while draining: %s", response.Status)
		}
		return nil
	})
	close(release)
	if body, err := io.ReadAll(inFlight.Body); err != nil || string(body) != "1234567890" {
		t.Errorf("the request in flight got %q, %v", body, err)
	}
	if code := s.process.wait(40 * time.Second); code != 0 {
		t.Errorf("the server left with %d", code)
	}
	s.start()
	visitor := s.visitor()
	awaitBody(t, visitor, url, "quick", 6*time.Second)
	visitor.CloseIdleConnections()
	s.returnsTo(before)
}

// B5-13
func TestUpstreamResetsMidBody(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		head := "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
		if r.URL.Path == "/length" {
			head = "Content-Length: 100\r\n\r\nhello"
		}
		fmt.Fprintf(buffered, "HTTP/1.1 200 OK\r\n%s", head)
		buffered.Flush()
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}))
	defer upstream.Close()
	s := startServer(t)
	_, url := s.agent("http", upstream.URL)
	before := s.baseline()
	for _, http2 := range []bool{true, false} {
		for _, path := range []string{"/length", "/chunked"} {
			transport := s.transport()
			transport.ForceAttemptHTTP2 = http2
			client := &http.Client{Transport: transport}
			if _, body, err := tryFetch(client, url+path); err == nil {
				t.Errorf("http2=%v %s: a truncated body ended cleanly: %q", http2, path, body)
			}
			transport.CloseIdleConnections()
		}
	}
	s.returnsTo(before)
}

// B5-14
func TestUpstreamRefuses(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	closed := freePorts(t, 1)[0]
	agent, url := s.agent("http", fmt.Sprint(closed))
	before := s.baseline()
	visitor := s.visitor()
	started := time.Now()
	response, body := fetch(t, visitor, url)
	if took := time.Since(started); took > time.Second {
		t.Errorf("the refusal took %v", took)
	}
	if response.StatusCode != 502 || response.Header.Get("Ngrok-Error-Code") != "ERR_NGROK_8012" {
		t.Errorf("%s %s", response.Status, response.Header.Get("Ngrok-Error-Code"))
	}
	if strings.Contains(body, fmt.Sprint(closed)) {
		t.Errorf("a stranger is told the private address: %s", body)
	}
	agent.waitFor(fmt.Sprintf(":%d", closed), 10*time.Second)
	agent.waitFor("connection refused", 10*time.Second)
	visitor.CloseIdleConnections()
	s.returnsTo(before)
}

// B5-15
func TestVisitorAbortsItsUpload(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}, 2), make(chan error, 2)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			return
		}
		if _, err := io.ReadFull(r.Body, make([]byte, 1000)); err == nil {
			began <- struct{}{}
		}
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}))
	defer upstream.Close()
	s := startServer(t)
	_, url := s.agent("http", upstream.URL)
	before := s.baseline()
	for _, http2 := range []bool{true, false} {
		transport := s.transport()
		transport.ForceAttemptHTTP2 = http2
		ctx, abort := context.WithCancel(t.Context())
		request, _ := http.NewRequestWithContext(ctx, "POST", url, io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), stuck{ctx}))
		go (&http.Client{Transport: transport}).Do(request) //nolint:errcheck,bodyclose // it is aborted
		<-began
		abort()
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("http2=%v: the upstream saw a complete upload", http2)
			}
		case <-time.After(time.Second):
			t.Errorf("http2=%v: the upstream still waits after a second", http2)
		}
		transport.CloseIdleConnections()
	}
	s.returnsTo(before)
}

// stuck is a body that never goes on.
type stuck struct{ ctx context.Context }

func (b stuck) Read([]byte) (int, error) { <-b.ctx.Done(); return 0, b.ctx.Err() }

// B5-25
func TestServerOutOfDescriptors(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.Wrapper = []string{"prlimit", "--nofile=256:256"}
	s.start()
	s.bootstrap()
	upstream, _ := slowBody(t)
	_, url := s.agent("http", upstream)
	visitor := s.visitor()
	awaitBody(t, visitor, url, "quick", 5*time.Second)
	before := s.baseline()

	var crowd []net.Conn
	for range 400 {
		if conn, err := net.DialTimeout("tcp", s.connectURL(), time.Second); err == nil {
			crowd = append(crowd, conn)
		}
	}
	if s.process.exited() {
		t.Fatal("the server ended")
	}
	cpu := s.process.cpu()
	pause(t, 2*time.Second)
	if used := s.process.cpu() - cpu; used > time.Second {
		t.Errorf("the server spins: %v of CPU in 2 s", used)
	}
	for _, conn := range crowd {
		conn.Close()
	}
	again := s.visitor()
	awaitBody(t, again, url, "quick", 10*time.Second)
	again.CloseIdleConnections()
	s.returnsTo(before)
}

// B5-31
func TestMalformedFramesFromStrangers(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	upstream, _ := slowBody(t)
	_, url := s.agent("http", upstream)
	visitor := s.visitor()
	awaitBody(t, visitor, url, "quick", 5*time.Second)
	before := s.baseline()
	source := rand.New(rand.NewPCG(1, 2))
	for round := range 60 {
		config := &tls.Config{RootCAs: s.pool()}
		if round%2 == 0 {
			config.NextProtos = []string{"postern/1"}
		}
		conn, err := tls.Dial("tcp", s.connectURL(), config)
		if err != nil {
			t.Fatal(err)
		}
		// Claims of huge frames, floods of streams, and noise.
		conn.Write([]byte{0, 0, 4, 0x12, 0, 0, 0, byte(3 + 2*round), 0xff, 0xff, 0xff, 0xff})
		switch round % 3 {
		case 0:
			conn.Write([]byte{0xff, 0xff, 0xff, 0x12, 0, 0, 1, 1})
		case 1:
			for id := range 2000 {
				conn.Write([]byte{0, 0, 4, 0x12, 0, byte(id >> 7), byte(id << 1), 1, 0, 0, 0, 8})
			}
		}
		noise := make([]byte, 4096)
		for i := range noise {
			noise[i] = byte(source.Uint32())
		}
		conn.Write(noise)
		conn.Close()
		if round%10 == 0 {
			if response, _ := fetch(t, visitor, url); response.StatusCode != 200 {
				t.Fatalf("honest traffic got %s", response.Status)
			}
		}
	}
	if s.process.exited() {
		t.Fatal("the server ended")
	}
	s.returnsTo(before)
}

// pause lets time go by where a length of time is what the test is about: how much CPU
// is used in it, how long a network is gone and back, how fast an attack comes. What
// waits for something to happen uses eventually.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
		t.Fatal(errors.New("the test ended"))
	}
}
