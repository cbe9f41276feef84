package api_test

import (
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/api"
)

func TestOrigins(t *testing.T) {
	const console = "https://console.example.com"
	preflight := func(w *world, origin string) reply {
		return w.send("OPTIONS", "/ip_policies", nil, header("Origin", origin), header("Access-Control-Request-Method", "POST"),
			header("Access-Control-Request-Headers", "authorization,ngrok-version"), header("Authorization", ""))
	}
	none := newWorld(t)
	if got := preflight(none, console); got.StatusCode != 404 || got.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("without an allow-list: %d %v", got.StatusCode, got.Header)
	}
	w := newWorld(t, func(c *api.Config) { c.AllowedOrigins = []string{console} })
	got := preflight(w, console)
	if got.StatusCode != 204 || got.text != "" || got.Header.Get("Access-Control-Allow-Origin") != console || got.Header.Get("Access-Control-Max-Age") != "600" ||
		got.Header.Get("Access-Control-Allow-Credentials") != "" || got.Header.Get("Vary") != "Origin" {
		t.Errorf("preflight: %d %v", got.StatusCode, got.Header)
	}
	for _, origin := range []string{"https://evil.example.com", "http://console.example.com", "null", console + ".evil.example"} {
		if got := preflight(w, origin); got.StatusCode != 404 || got.Header.Get("Access-Control-Allow-Origin") != "" || got.Header.Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v", origin, got.StatusCode, got.Header)
		}
	}
	if got := w.send("GET", "/ip_policies", nil, header("Origin", console)); got.StatusCode != 200 || got.Header.Get("Access-Control-Allow-Origin") != console {
		t.Errorf("a request: %d %v", got.StatusCode, got.Header)
	}
	w.refused(403, postern.CodeKeyMissing, "GET", "/ip_policies", nil, header("Origin", console), header("Authorization", ""))
}

// An account has so many requests worked on at once, another has its own.
func TestRequestsAtOnce(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.Concurrent = 1 })
	reading, writing := io.Pipe()
	var slow sync.WaitGroup
	begun := make(chan struct{})
	slow.Go(func() {
		w.does(201, "POST", "/ip_policies", object{}, func(r *http.Request) {
			r.ContentLength = -1
			r.Body = startedBody{PipeReader: reading, begun: begun, once: new(sync.Once)}
		})
	})
	<-begun
	got := w.send("GET", "/ip_policies", nil)
	if got.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After is %q", got.Header.Get("Retry-After"))
	}
	w.refused(429, postern.CodeTooManyAtOnce, "GET", "/ip_policies", nil)
	w.stranger().does(200, "GET", "/ip_policies", nil)
	_, _ = writing.Write([]byte(`{}`))
	_ = writing.Close()
	slow.Wait()
	w.does(200, "GET", "/ip_policies", nil)
}

// startedBody tells when it is first read from.
type startedBody struct {
	*io.PipeReader
	begun chan struct{}
	once  *sync.Once
}

func (b startedBody) Read(p []byte) (int, error) {
	b.once.Do(func() { close(b.begun) })
	return b.PipeReader.Read(p)
}
