package edge_test

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
)

// echoing is a service that notes one request, answers with its body, and with what it was
// told to.
type echoing struct {
	mu   sync.Mutex
	told http.Header
	seen struct {
		method, target, body string
		header, trailer      http.Header
	}
}

// tell says with what the next request is answered.
func (e *echoing) tell(header http.Header) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.told = header
}

func (e *echoing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seen.method, e.seen.target, e.seen.body, e.seen.header, e.seen.trailer = r.Method, r.RequestURI, string(body), r.Header, r.Trailer
	maps.Copy(w.Header(), e.told)
	w.Header().Set("Trailer", "X-Last")
	_, _ = w.Write(body)
	w.Header().Set("X-Last", "of "+r.Method)
}

// drawnHeader draws headers that no policy names.
func drawnHeader(t *rapid.T, label string) http.Header {
	all := http.Header{"X-Gone": {"1"}}
	for range rapid.IntRange(0, 6).Draw(t, label) {
		name := "X-" + http.CanonicalHeaderKey(rapid.StringMatching(`[a-fh-o]{1,9}`).Draw(t, "name"))
		all[name] = append(all[name], drawnValue(t, "value"))
	}
	return all
}

// left is what of a header has to be left after the policies.
func left(sent http.Header) http.Header {
	sent = maps.Clone(sent)
	delete(sent, "X-Gone")
	sent["X-Policy"] = []string{"added"}
	return sent
}

// without are the headers but for what the edge and clients write.
func without(h http.Header, names ...string) http.Header {
	h = maps.Clone(h)
	for _, name := range append(names, ourWords...) {
		delete(h, name)
	}
	return h
}

// Nor is a value or a byte of requests changed that clients send over HTTP/1.1 or HTTP/2,
// nor of the answers, with trailers or without.
func TestPoliciesTouchNothingElse(t *testing.T) {
	for host := range meddling {
		t.Run(host, func(t *testing.T) {
			bothPaths(t, func(t *testing.T, path func(*config)) {
				s, service := start(t, path), new(echoing)
				m := newMember(s.upstream(service.ServeHTTP))
				m.policy = compiled(t, postern.HTTPS, meddling[host])
				s.policedPool("https://"+host+"."+domain, m)
				clients := []*http.Client{s.client("http/1.1"), s.client("h2")}
				rapid.Check(t, func(t *rapid.T) { touchesNothing(t, host, service, rapid.SampledFrom(clients).Draw(t, "client")) })
			})
		})
	}
}

// touchesNothing makes one request and compares.
func touchesNothing(t *rapid.T, host string, service *echoing, client *http.Client) {
	method := rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE", "PATCH", "PROPFIND"}).Draw(t, "method")
	target, text := drawnTarget(t), ""
	if method != "GET" {
		text = drawnBody(t, "body")
	}
	request, err := http.NewRequest(method, "https://"+host+"."+domain+target, strings.NewReader(text))
	if err != nil {
		return // no client can send it
	}
	sent, told := drawnHeader(t, "sent"), drawnHeader(t, "told")
	sent["User-Agent"], told["Content-Type"] = []string{"rapid"}, []string{"application/x-bytes"}
	request.Header = maps.Clone(sent)
	if text != "" && rapid.Bool().Draw(t, "endless") {
		request.Body, request.GetBody, request.ContentLength = io.NopCloser(strings.NewReader(text)), nil, -1
		request.Trailer = http.Header{"X-Sum": {drawnValue(t, "trailer")}}
	}
	service.tell(told)
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	back, _ := io.ReadAll(response.Body)
	service.mu.Lock()
	defer service.mu.Unlock()
	seen := service.seen
	if seen.method != method || seen.target != target || seen.body != text || string(back) != text {
		t.Fatalf("%s %s came as %s %s, %d bytes as %d and %d", method, target, seen.method, seen.target, len(text), len(seen.body), len(back))
	}
	if diff := cmp.Diff(left(sent), without(seen.header)); diff != "" {
		t.Fatalf("the request's header (-sent +came):\n%s", diff)
	}
	if diff := cmp.Diff(request.Trailer, seen.trailer); diff != "" && len(request.Trailer)+len(seen.trailer) > 0 {
		t.Fatalf("the request's trailers (-sent +came):\n%s", diff)
	}
	if diff := cmp.Diff(left(told), without(response.Header)); diff != "" {
		t.Fatalf("the answer's header (-sent +came):\n%s", diff)
	}
	if diff := cmp.Diff(http.Header{"X-Last": {"of " + method}}, response.Trailer); diff != "" {
		t.Fatalf("the answer's trailers (-sent +came):\n%s", diff)
	}
}
