package localapi_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/agent/localapi"
)

// lines is a log that may be written to and read at once.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Only a default address gives way.
func TestListen(t *testing.T) {
	log := &lines{}
	logger := slog.New(slog.NewTextHandler(log, nil))
	first, err := localapi.Listen(t.Context(), "", logger)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := localapi.Listen(t.Context(), "", logger)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if first.Addr().String() == second.Addr().String() || !strings.HasPrefix(second.Addr().String(), "127.0.0.1:40") ||
		!strings.Contains(log.String(), `msg="can't bind default web address, trying alternatives" obj=web web_addr=127.0.0.1:4040`) {
		t.Errorf("%s, then %s: %s", first.Addr(), second.Addr(), log.String())
	}

	taken := first.Addr().String()
	_, err = localapi.Listen(t.Context(), taken, logger)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.HasPrefix(err.Error(), "listen tcp "+taken+": bind: address already in use") {
		t.Errorf("%v", err)
	}
	if off, err := localapi.Listen(t.Context(), "false", logger); off != nil || err != nil {
		t.Errorf("%v, %v", off, err)
	}
	for asked, want := range map[string]string{"0": "127.0.0.1:", "localhost:0": "127.0.0.1:", ":0": "0.0.0.0:", "[::1]:0": "[::1]:"} {
		listener, err := localapi.Listen(t.Context(), asked, logger)
		if err != nil {
			t.Errorf("%s: %v", asked, err)
			continue
		}
		if !strings.HasPrefix(listener.Addr().String(), want) {
			t.Errorf("%s listens on %s", asked, listener.Addr())
		}
		_ = listener.Close()
	}
	if _, err := localapi.Listen(t.Context(), "x y", logger); err == nil {
		t.Error("an address that is none is taken")
	}
}

// serve runs an API until the test ends and gives where it is.
func serve(t *testing.T, change func(*localapi.Config)) (*testAPI, string) {
	t.Helper()
	listener, err := localapi.Listen(t.Context(), "127.0.0.1:0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, func(c *localapi.Config) {
		c.Address = listener.Addr()
		if change != nil {
			change(c)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	wait := a.Start(ctx, listener)
	t.Cleanup(func() {
		cancel()
		if err := wait(); err != nil {
			t.Errorf("the API ended with %v", err)
		}
	})
	return a, listener.Addr().String()
}

// Programs count the headers, and read the address from the log: by then they can
// connect.
func TestStart(t *testing.T) {
	log := &lines{}
	a, addr := serve(t, func(c *localapi.Config) { c.Logger = slog.New(slog.NewTextHandler(log, nil)) })
	for _, try := range []struct {
		request string
		headers string
	}{
		{"GET /api/tunnels HTTP/1.1\r\nHost: localhost\r\n\r\n", "Content-Length Content-Type Date"},
		{"GET /api/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", "Content-Length Content-Type Date"},
		{"GET /api/tunnels HTTP/1.1\r\nHost: evil\r\n\r\n", "Content-Length Content-Type Date"},
		{"DELETE /api/requests/http HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}", "Date"},
	} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(conn, try.request)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, name := range []string{"Content-Length", "Content-Type", "Date"} {
			if response.Header.Get(name) != "" {
				names = append(names, name)
				response.Header.Del(name)
			}
		}
		if strings.Join(names, " ") != try.headers || len(response.Header) > 0 {
			t.Errorf("%q: %v and %v", try.request, names, response.Header)
		}
		_ = conn.Close()
	}
	if !regexp.MustCompile(`msg="starting web service" obj=web addr=\d+\.\d+\.\d+\.\d+:\d+ allow_hosts=\[\]\n`).MatchString(log.String()) {
		t.Error(log.String())
	}
	_ = a
}

// The events: how things are, then what changes; they end with the API.
func TestEvents(t *testing.T) {
	a, addr := serve(t, nil)
	response, err := http.Get("http://" + addr + "/api/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := response.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatal(got)
	}
	events := bufio.NewScanner(response.Body)
	expect := func(name, part string) {
		t.Helper()
		var text strings.Builder
		for events.Scan() && events.Text() != "" {
			text.WriteString(events.Text() + "\n")
		}
		if !strings.HasPrefix(text.String(), "event: "+name+"\ndata: {") || !strings.Contains(text.String(), part) {
			t.Fatalf("%s, want %s with %s", text.String(), name, part)
		}
	}
	expect("status", `"status":"online"`)
	expect("tunnels", `"tunnels":[]`)
	a.ask("POST", "/api/tunnels", `{"name":"web","proto":"http","addr":80,"bind_tls":true}`)
	expect("tunnels", `"public_url":"https://h`)
	id := a.captured("web", "/hook")
	expect("request", id)
	for done := false; !done; { // the answer's stages may come one by one
		events.Scan()
		done = strings.Contains(events.Text(), `"status_code":502`)
	}
	events.Scan()
	a.agent.setOffline(true)
	expect("status", `"status":"connecting"`)
}

func TestEventsAreBounded(t *testing.T) {
	_, addr := serve(t, nil)
	var open []*http.Response
	defer func() {
		for _, response := range open {
			_ = response.Body.Close()
		}
	}()
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	for range 33 {
		response, err := client.Get("http://" + addr + "/api/events")
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, response)
	}
	if first, last := open[0].StatusCode, open[32].StatusCode; first != 200 || last != 503 {
		t.Errorf("%d, %d", first, last)
	}
}

// Whoever connects and says nothing takes one of so many places, and no more memory.
func TestConnectionsAreBounded(t *testing.T) {
	_, addr := serve(t, nil)
	ask := func() net.Conn {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_, _ = io.WriteString(conn, "GET /api/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
		return conn
	}
	answered := func(conn net.Conn, within time.Duration) bool {
		_ = conn.SetReadDeadline(time.Now().Add(within))
		_, err := conn.Read(make([]byte, 1))
		return err == nil
	}
	first := ask()
	for range 255 {
		if !answered(ask(), 10*time.Second) {
			t.Fatal("a connection within the bound was not served")
		}
	}
	beyond := ask()
	if answered(beyond, 50*time.Millisecond) {
		t.Error("the 257th connection was served beside 256 others")
	}
	first.Close()
	if !answered(beyond, 10*time.Second) {
		t.Error("nobody was served in the place that became free")
	}
}
