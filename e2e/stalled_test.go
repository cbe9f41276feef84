//go:build linux

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern/internal/testkit/path"
)

// slowReaders is eight visitors who ask for much and read nothing, one of them on
// the HTTP/2 connection that others use.
func slowReaders(t *testing.T) {
	const readers, patience = 8, 3 * time.Second
	d := startDistant(t, path.Both(path.Way{Delay: 5 * time.Millisecond}), fmt.Sprintf("timeouts:\n  transfer: %v", patience))
	ended := make(chan time.Duration, readers)
	began := time.Now()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(w, content(1<<30, 1)) //nolint:errcheck // it is cut
		ended <- time.Since(began)
	})
	mux.Handle("/", bulkService())
	service, _ := d.serve(mux)
	agent, url := d.agent("http", service, "--inspect=false")
	visitor := d.visitor()
	awaitBody(t, visitor, url+"/small", "small", 5*time.Second)
	before := d.baseline()
	resident, _ := agent.resident()

	began = time.Now()
	for range readers - 1 {
		d.stalledReader(strings.TrimPrefix(url, "https://"))
	}
	stalled, err := visitor.Get(url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer stalled.Body.Close()
	times := mice(t, visitor, url, 100)
	t.Logf("small requests beside %d stalled readers: p50 %v, p99 %v", readers, quantile(times, 0.5), quantile(times, 0.99))
	if p50, p99 := quantile(times, 0.5), quantile(times, 0.99); p50 > 100*time.Millisecond || p99 > time.Second {
		t.Errorf("small requests beside stalled readers took %v, some %v", p50, p99)
	}
	now := d.baseline()
	nowResident, _ := agent.resident()
	t.Logf("heap of the server %.1f MiB more, the agent %.1f MiB more", (now.heap-before.heap)/(1<<20), float64(nowResident-resident)/(1<<20))
	// 2 MiB a reader: a stream that nobody reads keeps its first window, of 1 MiB on our own
	// link, and what it grew by while the kernels on the way took what came.
	const room = readers*2*256<<10 + 12<<20
	if now.heap > before.heap+room || nowResident > resident+2*room {
		t.Errorf("beside %d stalled readers the server's heap went from %v to %v, the agent from %v to %v",
			readers, before.heap, now.heap, resident, nowResident)
	}
	for range readers {
		select {
		case after := <-ended:
			t.Logf("a stalled reader was cut after %v", after)
			if after < patience {
				t.Errorf("a reader was cut after %v, before its time", after)
			}
		case <-time.After(30 * time.Second):
			t.Fatal("a stalled reader is still being served")
		}
	}
	if _, err := io.Copy(io.Discard, stalled.Body); err == nil {
		t.Error("the answer that was cut looks complete")
	}
	mice(t, visitor, url, 3)
	visitor.CloseIdleConnections()
	d.returnsTo(before)
}

// stalledReader asks for / over a connection of its own and reads no more than the
// status.
func (s *server) stalledReader(host string) {
	s.t.Helper()
	raw, err := s.DialContext(s.t.Context(), "tcp", host)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { raw.Close() })
	conn := tls.Client(raw, &tls.Config{RootCAs: s.pool(), ServerName: strings.Split(host, ":")[0]})
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host)
	if status, err := bufio.NewReaderSize(conn, 16).ReadString('\n'); err != nil || !strings.Contains(status, "200") {
		s.t.Fatalf("%q, %v", status, err)
	}
}

// slowService begins to answer only after the server's patience, or begins at once
// and then takes its time.
func slowService(t *testing.T) {
	const patience = 2 * time.Second
	d := startDistant(t, path.Both(path.Way{Delay: 20 * time.Millisecond}),
		fmt.Sprintf("timeouts:\n  response_header: %v\n  transfer: 30s\naccess_log: stdout", patience))
	mux := http.NewServeMux()
	var gaveUp atomic.Int64
	mux.HandleFunc("/late", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // what is asked does not matter
		select {
		case <-time.After(patience + 20*time.Second):
		case <-r.Context().Done():
			gaveUp.Add(1)
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-time.After(patience * 3 / 2):
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.Handle("/", bulkService())
	service, _ := d.serve(mux)
	_, url := d.agent("http", service, "--inspect=false")
	visitor, modern := d.patient(), d.visitor()
	awaitBody(t, visitor, url+"/small", "small", 5*time.Second)
	before := d.baseline()

	streams := make(chan error, 2)
	go func() { streams <- events(visitor, url) }()
	go func() { streams <- silentWebSocket(t.Context(), visitor, url, patience*2) }()
	asked := 0
	for name, client := range map[string]*http.Client{"HTTP/1.1": visitor, "HTTP/2": modern} {
		for _, body := range []io.Reader{nil, bytes.NewReader(make([]byte, 100<<10))} {
			asked++
			method := "GET"
			if body != nil {
				method = "POST"
			}
			late(t, name, client, method, url, body, patience)
		}
	}
	for range 2 {
		if err := <-streams; err != nil {
			t.Errorf("what streams is exempt: %v", err)
		}
	}
	eventually(t, 5*time.Second, func() error {
		if logged := strings.Count(d.process.output(), "ERR_POSTERN_303"); logged < asked {
			return fmt.Errorf("%d of %d timeouts were logged", logged, asked)
		}
		if gaveUp.Load() < int64(asked) {
			return fmt.Errorf("%d of %d requests were cancelled at the service", gaveUp.Load(), asked)
		}
		return nil
	})
	visitor.CloseIdleConnections()
	modern.CloseIdleConnections()
	d.returnsTo(before)
}

// late asks for what comes too late, and wants to be told so in time.
func late(t *testing.T, name string, client *http.Client, method, url string, body io.Reader, patience time.Duration) {
	t.Helper()
	request, err := http.NewRequest(method, url+"/late", body)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	response, err := client.Do(request)
	if err != nil {
		t.Errorf("%s %s: %v", name, method, err)
		return
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	took := time.Since(started)
	if err != nil || response.StatusCode != http.StatusGatewayTimeout || took < patience || took > patience+2*time.Second {
		t.Errorf("%s %s: %s after %v, %v", name, method, response.Status, took, err)
	}
	if ours, theirs := response.Header.Get("Postern-Error-Code"), response.Header.Get("Ngrok-Error-Code"); ours != "ERR_POSTERN_303" || theirs != "ERR_NGROK_3004" {
		t.Errorf("%s %s: the codes are %q and %q", name, method, ours, theirs)
	}
	if !strings.Contains(string(page), "ERR_NGROK_3004") {
		t.Errorf("%s %s: no code in the page %s", name, method, tail(string(page), 300))
	}
}

// events reads the whole stream of events.
func events(client *http.Client, url string) error {
	response, err := client.Get(url + "/events")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	if err != nil || string(all) != "data: 0\n\ndata: 1\n\ndata: 2\n\n" {
		return fmt.Errorf("events: %s %q, %w", response.Status, all, err)
	}
	return nil
}

// silentWebSocket says nothing for a while and then finds the connection alive.
func silentWebSocket(ctx context.Context, client *http.Client, url string, silence time.Duration) error {
	dialing := *client
	dialing.Timeout = 0
	conn, _, err := websocket.Dial(ctx, url+"/ws", &websocket.DialOptions{HTTPClient: &dialing})
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	select {
	case <-time.After(silence):
	case <-ctx.Done():
	}
	if err := conn.Write(ctx, websocket.MessageText, []byte("still there")); err != nil {
		return err
	}
	if _, got, err := conn.Read(ctx); err != nil || string(got) != "still there" {
		return fmt.Errorf("websocket: %q, %w", got, err)
	}
	return conn.Close(websocket.StatusNormalClosure, "")
}
