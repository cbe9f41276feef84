package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	ngrok "golang.ngrok.com/ngrok/v2"
)

const (
	upgrades     = 20
	perSecond    = 200
	downloadSize = 1 << 30
	downloadRate = 36 << 20 // bytes a second, so that it lasts for many upgrades
	socketsEach  = 3        // WebSockets on each agent
	apart        = 1500 * time.Millisecond
)

// upgrade starts a new process that takes over, and returns once the old one has
// handed over. The old process is returned; it ends by itself.
func (s *server) upgrade(args ...string) (old *process) {
	s.t.Helper()
	old = s.process
	s.process = s.upgrading(args...)
	s.process.waitFor(`"server ready"`, 30*time.Second)
	old.waitFor("another process has taken over", 30*time.Second)
	return old
}

func (s *server) upgrading(args ...string) *process {
	s.t.Helper()
	argv := append([]string{posternBinary, "server", "--config", s.Config, "--upgrade"}, args...)
	return startProcess(s.t, "server", nil, argv...)
}

// visitors is traffic of which nothing may fail.
type visitors struct {
	t      *testing.T
	s      *server
	ctx    context.Context
	stop   context.CancelFunc
	all    sync.WaitGroup
	asked  atomic.Int64
	failed atomic.Int64

	mu   sync.Mutex
	took []time.Duration
}

func newVisitors(s *server) *visitors {
	v := &visitors{t: s.t, s: s}
	v.ctx, v.stop = context.WithCancel(s.t.Context())
	s.t.Cleanup(v.end)
	return v
}

func (v *visitors) end() {
	v.stop()
	v.all.Wait()
}

// fail notes what a visitor has seen, unless the traffic is at its end.
func (v *visitors) fail(format string, args ...any) {
	if v.ctx.Err() == nil {
		if v.failed.Add(1) <= 20 {
			v.t.Errorf(time.Now().Format("15:04:05.000 ")+format, args...)
		}
	}
}

// ask sends requests at a steady rate, each in its own goroutine, over every kind of
// connection in turn.
func (v *visitors) ask(hosts ...string) {
	var clients []*http.Client
	for _, change := range []func(*http.Transport){
		func(t *http.Transport) { t.ForceAttemptHTTP2 = false }, // HTTP/1.1, kept
		func(t *http.Transport) { t.ForceAttemptHTTP2 = false; t.DisableKeepAlives = true },
		func(*http.Transport) {}, // HTTP/2
	} {
		transport := v.s.transport()
		change(transport)
		if !transport.ForceAttemptHTTP2 {
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}
		v.t.Cleanup(transport.CloseIdleConnections)
		clients = append(clients, &http.Client{Transport: transport, Timeout: 30 * time.Second})
	}
	v.all.Go(func() {
		defer func() {
			for _, client := range clients {
				client.CloseIdleConnections()
			}
		}()
		tick := time.NewTicker(time.Second / perSecond)
		defer tick.Stop()
		var pending sync.WaitGroup
		defer pending.Wait()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
			case <-v.ctx.Done():
				return
			}
			host, client := hosts[i%len(hosts)], clients[i/len(hosts)%len(clients)]
			pending.Go(func() { v.one(client, host, i) })
		}
	})
}

// one sends one request: a GET, or a POST whose body comes back.
func (v *visitors) one(client *http.Client, host string, i int) {
	began := time.Now()
	want := strings.Repeat(fmt.Sprintf("request %d ", i), 1+i%50)
	var response *http.Response
	var err error
	url := fmt.Sprintf("https://%s:%d/echo", host, v.s.https)
	if i%4 == 0 {
		response, err = client.Post(url, "text/plain", strings.NewReader(want))
	} else {
		want = "hello"
		response, err = client.Get(url)
	}
	v.asked.Add(1)
	if err != nil {
		v.fail("%s: %v", host, err)
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 || string(body) != want {
		v.fail("%s: %s %s %q, %v", host, response.Proto, response.Status, tail(string(body), 200), err)
		return
	}
	v.mu.Lock()
	v.took = append(v.took, time.Since(began))
	v.mu.Unlock()
}

// download gets size bytes, whatever happens meanwhile.
func (v *visitors) download(host string, size int64) (done <-chan struct{}) {
	over := make(chan struct{})
	v.all.Go(func() {
		defer close(over)
		transport := v.s.transport()
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		response, err := client.Get(fmt.Sprintf("https://%s:%d/download?size=%d", host, v.s.https, size))
		if err != nil {
			v.fail("download from %s: %v", host, err)
			return
		}
		defer response.Body.Close()
		if n, err := io.Copy(io.Discard, response.Body); n != size || err != nil {
			v.fail("download from %s: %d bytes of %d, %v", host, n, size, err)
		}
	})
	return over
}

// talk keeps a WebSocket busy.
func (v *visitors) talk(host string) {
	transport := v.s.transport()
	transport.ForceAttemptHTTP2 = false
	conn, _, err := websocket.Dial(v.t.Context(), fmt.Sprintf("https://%s:%d/ws", host, v.s.https),
		&websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		v.t.Fatalf("WebSocket to %s: %v", host, err)
	}
	v.all.Go(func() {
		defer transport.CloseIdleConnections()
		defer conn.CloseNow()
		v.everySoOften(func(i int) error {
			message := fmt.Sprint("message ", i)
			ctx, cancel := context.WithTimeout(v.t.Context(), 20*time.Second)
			defer cancel()
			if err := conn.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
				return err
			}
			_, got, err := conn.Read(ctx)
			if err == nil && string(got) != message {
				err = fmt.Errorf("got %q for %q", got, message)
			}
			return err
		}, "WebSocket to "+host)
	})
}

// dial keeps connecting to a TCP endpoint, and keeps its first connection busy.
func (v *visitors) dial(address string) {
	echo := func(conn net.Conn, text string) error {
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			return err
		}
		if _, err := io.WriteString(conn, text); err != nil {
			return err
		}
		got := make([]byte, len(text))
		_, err := io.ReadFull(conn, got)
		if err == nil && string(got) != text {
			err = fmt.Errorf("got %q for %q", got, text)
		}
		return err
	}
	kept, err := net.Dial("tcp", address)
	if err != nil {
		v.t.Fatal(err)
	}
	v.all.Go(func() {
		defer kept.Close()
		v.everySoOften(func(i int) error { return echo(kept, fmt.Sprint("kept ", i)) }, "kept connection to "+address)
	})
	v.all.Go(func() {
		v.everySoOften(func(i int) error {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				return err
			}
			defer conn.Close()
			return echo(conn, fmt.Sprint("new ", i))
		}, "new connection to "+address)
	})
}

func (v *visitors) everySoOften(do func(i int) error, what string) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-tick.C:
		case <-v.ctx.Done():
			return
		}
		if err := do(i); err != nil {
			v.fail("%s: %v", what, err)
			return
		}
	}
}

// report says how long requests took.
func (v *visitors) report() {
	v.mu.Lock()
	defer v.mu.Unlock()
	slices.Sort(v.took)
	at := func(share float64) time.Duration {
		return v.took[min(int(share*float64(len(v.took))), len(v.took)-1)].Round(100 * time.Microsecond)
	}
	v.t.Logf("%d requests, %d failures; p50 %v, p99 %v, p99.9 %v, longest %v", v.asked.Load(), v.failed.Load(), at(0.5), at(0.99), at(0.999), at(1))
}

// upgradeService is what agents serve here.
func upgradeService() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /echo", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("POST /echo", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(body)
	})
	mux.HandleFunc("GET /download", func(w http.ResponseWriter, r *http.Request) {
		var size int64
		if _, err := fmt.Sscan(r.FormValue("size"), &size); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(size))
		part := bytes.Repeat([]byte("postern "), downloadRate/50/8)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for ; size > 0; size -= int64(len(part)) {
			part = part[:min(int64(len(part)), size)]
			if _, err := w.Write(part); err != nil {
				return
			}
			<-tick.C
		}
	})
	mux.Handle("GET /ws", webSocketEcho())
	return mux
}

// resident is the memory of a process, in MiB; 0 of one that has ended meanwhile.
func resident(p *process) float64 {
	bytes, err := p.Resident()
	if err != nil {
		return 0
	}
	return float64(bytes) / (1 << 20)
}

// listenForLong is listen for a whole test: the SDK's session ends with its context.
func listenForLong(t *testing.T, agent ngrok.Agent, options ...ngrok.EndpointOption) ngrok.EndpointListener {
	t.Helper()
	listener, err := agent.Listen(t.Context(), options...)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	return listener
}

// B5-4: twenty upgrades under load, and no visitor sees an error: not of requests over
// kept, new and HTTP/2 connections, not of a download that outlasts most of them, of
// WebSockets or of TCP connections; with our agent and with an unmodified SDK.
func TestUpgradesAreNotSeen(t *testing.T) {
	s := startServer(t)
	service := httptest.NewServer(upgradeService())
	defer service.Close()
	ours, theirs := "ours."+domain, "theirs."+domain
	s.agent("http", service.Listener.Addr().String(), "--url", "https://"+ours)
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go echoAll(echo)
	_, tcpURL := s.agent("tcp", echo.Addr().String())
	sdk := s.sdk()
	go http.Serve(listenForLong(t, sdk, ngrok.WithURL("https://"+theirs)), upgradeService()) //nolint:errcheck // ends with the listener
	tcp := listenForLong(t, s.sdk(), ngrok.WithURL("tcp://"))
	go echoAll(tcp)

	v := newVisitors(s)
	v.ask(ours, theirs)
	v.dial("127.0.0.1:" + tcpURL[strings.LastIndexByte(tcpURL, ':')+1:])
	v.dial("127.0.0.1:" + tcp.URL().Port())
	for range socketsEach {
		v.talk(ours)
		v.talk(theirs)
	}
	whole := v.download(ours, downloadSize)
	half := v.download(theirs, downloadSize/4)

	var old []*process
	began := time.Now()
	for i := range upgrades {
		old = append(old, s.upgrade())
		if i >= upgrades/2 { // the first half follow each other as quickly as they can
			v.talk(ours)
			v.talk(theirs)
			<-time.After(apart)
		}
	}
	t.Logf("%d upgrades took %v", upgrades, time.Since(began).Round(time.Millisecond))
	<-half
	<-whole
	alive, most, sum := 0, 0.0, 0.0
	for _, p := range old {
		if !p.exited() {
			alive++
			most, sum = max(most, resident(p)), sum+resident(p)
		}
	}
	t.Logf("%d of %d old processes live on, of %.0f MiB at most and %.0f MiB together; the new one has %.0f MiB", alive, upgrades, most, sum, resident(s.process))
	v.end()
	v.report()
	if v.asked.Load() < 1000 {
		t.Errorf("only %d requests", v.asked.Load())
	}
	for _, p := range old {
		if code := p.wait(60 * time.Second); code != 0 {
			t.Errorf("an old process ended with status %d", code)
		}
	}
	client := s.visitor()
	for _, host := range []string{ours, theirs} {
		if _, body := fetch(t, client, fmt.Sprintf("https://%s:%d/echo", host, s.https)); body != "hello" {
			t.Errorf("%s in the end: %q", host, body)
		}
	}
}

// B5-4: a new process that fails leaves the running one as it was, and says why.
func TestUpgradesThatFail(t *testing.T) {
	s := startServer(t)
	service := httptest.NewServer(upgradeService())
	defer service.Close()
	_, url := s.agent("http", service.Listener.Addr().String(), "--url", "https://app."+domain)
	client := s.visitor()
	awaitBody(t, client, url+"/echo", "hello", 10*time.Second)

	t.Run("its configuration has a mistake", func(t *testing.T) {
		p := s.upgrading("--limits-connections", "none")
		if code := p.wait(20 * time.Second); code != 1 || !strings.Contains(p.output(), "is not a whole number") {
			t.Errorf("status %d: %s", code, p.output())
		}
	})
	t.Run("its address is taken", func(t *testing.T) {
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		p := s.upgrading("--listen-agent", taken.Addr().String())
		if code := p.wait(20 * time.Second); code != 1 || !strings.Contains(p.output(), "another program has it") {
			t.Errorf("status %d: %s", code, p.output())
		}
		s.process.waitFor("nothing was handed over; this process goes on", 10*time.Second)
	})
	t.Run("it is killed, whenever that is", func(t *testing.T) {
		for after := time.Millisecond; after < 200*time.Millisecond; after += after / 2 {
			p := s.upgrading()
			select {
			case <-time.After(after):
			case <-p.Done():
			}
			if strings.Contains(s.process.output(), "another process has taken over") {
				s.process = p // it was quick enough, and is the server now
				s.process.waitFor(`"server ready"`, 10*time.Second)
				continue
			}
			p.signal(syscall.SIGKILL)
			p.wait(5 * time.Second)
			eventually(t, 20*time.Second, func() error {
				if strings.Contains(s.process.output(), "another process has taken over") {
					// Killed after it had taken over, which is the crash of a server: the next one
					// starts beside the old process, whose agents are still there.
					s.process = s.upgrading()
					s.process.waitFor(`"server ready"`, 10*time.Second)
				}
				_, body, err := tryFetch(s.visitor(), url+"/echo")
				if err == nil && body != "hello" {
					t.Errorf("killed after %v: %q", after, body)
				}
				return err
			})
		}
	})
	t.Run("it is the first", func(t *testing.T) {
		fresh := newServer(t)
		fresh.process = fresh.upgrading()
		fresh.process.waitFor("this one starts by itself", 10*time.Second)
		fresh.process.waitFor(`"server ready"`, 10*time.Second)
	})
}
