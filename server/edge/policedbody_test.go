package edge_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/policy"
	changing "github.com/postern-dev/postern/server/policy/body"
)

// bodies gives policies the memory of a server.
func bodies(budget *changing.Budget) func(*config) {
	return func(c *config) { c.Policy.Bodies = changing.NewEncoders(budget) }
}

// hold puts an https endpoint with a policy online.
func (s *site) hold(host, addr, text string) {
	s.t.Helper()
	program, err := policy.Compile(text, policy.Target{
		Scheme: postern.HTTPS, Editable: policy.Editable{Request: edge.EditableRequestHeader, Response: edge.EditableResponseHeader},
	})
	must(s.t, err)
	m := newMember(addr)
	m.policy = program
	s.t.Cleanup(m.stop)
	r := routeTo("https://"+host+"."+domain, &owner{members: []*member{m}})
	r.Policies = []*policy.Program{program}
	s.add(r)
}

// visitorProtocols runs a test over both protocols of visitors.
func visitorProtocols(t *testing.T, f func(t *testing.T, protocol string)) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(strings.ReplaceAll(protocol, "/", ""), func(t *testing.T) { f(t, protocol) })
	}
}

// wholeBudget is what a test's server has; all of it must be back in the end.
const wholeBudget = 16 << 20

// balanced waits until nothing of a budget is held any more.
func balanced(t *testing.T, b *changing.Budget) {
	t.Helper()
	eventually(t, "the memory for bodies is given back", func() bool { return b.Left() == wholeBudget })
}

func TestPolicyCompressesAnswers(t *testing.T) {
	long := strings.Repeat("some text, and more of it. ", 20_000)
	visitorProtocols(t, func(t *testing.T, protocol string) {
		budget := changing.NewBudget(wholeBudget)
		s := start(t, bodies(budget))
		proceed := make(chan struct{})
		s.hold("app", s.upstream(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("ETag", `"v1"`)
			switch r.URL.Path {
			case "/slow":
				_, _ = io.WriteString(w, "first\n")
				_ = http.NewResponseController(w).Flush()
				<-proceed
				_, _ = io.WriteString(w, "second\n")
			case "/events":
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, "data: "+long+"\n\n")
			default:
				w.Header().Set("Content-Length", fmt.Sprint(len(long)))
				_, _ = io.WriteString(w, long)
			}
		}), "on_http_response: [{actions: [{type: compress-response, config: {algorithms: [gzip, br]}}]}]")
		client, url := s.client(protocol), "https://app."+domain
		accept := func(coding string) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set("Accept-Encoding", coding) }
		}

		r, packed := get(t, client, url+"/", accept("gzip;q=0.5, br"))
		text, err := io.ReadAll(brotli.NewReader(strings.NewReader(packed)))
		if string(text) != long || err != nil || len(packed) > len(long)/50 {
			t.Errorf("%d bytes of %d in %d, %v", len(text), len(long), len(packed), err)
		}
		h := r.Header
		if h.Get("Content-Encoding") != "br" || h.Get("Vary") != "Accept-Encoding" || h.Get("Etag") != `W/"v1"` || r.ContentLength != -1 {
			t.Errorf("%v, length %d", h, r.ContentLength)
		}
		if r, plain := get(t, client, url+"/", accept("identity")); plain != long || r.ContentLength != int64(len(long)) || r.Header.Get("Etag") != `"v1"` || r.Header.Get("Vary") == "" {
			t.Errorf("%d bytes, %v", len(plain), r.Header)
		}
		if r, plain := get(t, client, url+"/events", accept("gzip")); plain != "data: "+long+"\n\n" || r.Header.Get("Content-Encoding") != "" {
			t.Errorf("events: %d bytes, %v", len(plain), r.Header)
		}
		head := func(r *http.Request) { r.Method = http.MethodHead; accept("gzip")(r) }
		if r, _ := get(t, client, url+"/", head); r.ContentLength != -1 || r.Header.Get("Etag") != `W/"v1"` {
			t.Errorf("HEAD: length %d, %v", r.ContentLength, r.Header)
		}

		request, err := http.NewRequest(http.MethodGet, url+"/slow", nil)
		must(t, err)
		accept("gzip")(request)
		slow, err := client.Do(request)
		must(t, err)
		defer slow.Body.Close()
		z, err := gzip.NewReader(slow.Body)
		must(t, err)
		lines := bufio.NewReader(z)
		if line, err := lines.ReadString('\n'); line != "first\n" || err != nil {
			t.Errorf("%q, %v", line, err)
		}
		close(proceed)
		if rest, err := io.ReadAll(lines); string(rest) != "second\n" || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
		balanced(t, budget)
	})
}

// A visitor who leaves in the middle leaves nothing behind.
func TestPolicyForgetsVisitorsWhoLeave(t *testing.T) {
	visitorProtocols(t, func(t *testing.T, protocol string) {
		budget := changing.NewBudget(wholeBudget)
		s := start(t, bodies(budget))
		s.hold("app", s.upstream(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "first\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}), "on_http_response: [{actions: [{type: compress-response}]}]")
		request, err := http.NewRequest(http.MethodGet, "https://app."+domain, nil)
		must(t, err)
		request.Header.Set("Accept-Encoding", "gzip")
		r, err := s.client(protocol).Do(request)
		must(t, err)
		if budget.Left() == wholeBudget {
			t.Error("nothing is held")
		}
		r.Body.Close()
		balanced(t, budget)
	})
}

func TestPolicyReplacesInAnswers(t *testing.T) {
	const internal = "see https://internal.example/x "
	long := strings.Repeat(internal, 10_000)
	visitorProtocols(t, func(t *testing.T, protocol string) {
		budget := changing.NewBudget(wholeBudget)
		s := start(t, bodies(budget))
		proceed := make(chan struct{})
		s.hold("app", s.upstream(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") != "" || strings.Contains(r.Header.Get("Accept-Encoding"), "dcz") {
				t.Errorf("the service was asked with %v", r.Header)
			}
			switch r.URL.Path {
			case "/packed":
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				_, _ = io.WriteString(z, long)
				_ = z.Close()
			case "/slow":
				_, _ = io.WriteString(w, "a https://internal")
				_ = http.NewResponseController(w).Flush()
				<-proceed
				_, _ = io.WriteString(w, ".example/x")
			case "/dcz":
				w.Header().Set("Content-Encoding", "dcz")
				_, _ = io.WriteString(w, internal)
			case "/broken":
				w.Header().Set("Content-Encoding", "gzip")
				_, _ = io.WriteString(w, internal)
			default:
				_, _ = io.WriteString(w, internal)
			}
		}), `
on_http_response:
- actions:
  - type: response-body-find-replace
    config: {replacements: [{from: 'https://internal\.example/(\w)', to: 'https://${req.host}/$1$1'}]}`)
		client, url := s.client(protocol), "https://app."+domain
		asked := func(r *http.Request) {
			r.Header.Set("Accept-Encoding", "gzip, dcz")
			r.Header.Set("Range", "bytes=0-9")
		}
		want := strings.ReplaceAll(internal, "internal.example/x", "app."+domain+"/xx")
		if r, got := get(t, client, url+"/", asked); got != want || r.ContentLength != int64(len(want)) {
			t.Errorf("got %q, length %d", got, r.ContentLength)
		}
		if r, got := get(t, client, url+"/packed", asked); got != strings.Repeat(want, 10_000) || r.Header.Get("Content-Encoding") != "" {
			t.Errorf("%d bytes, %v", len(got), r.Header)
		}
		if r, got := get(t, client, url+"/dcz", asked); r.StatusCode != http.StatusBadGateway || strings.Contains(got, "see https://internal") {
			t.Errorf("%d, %q", r.StatusCode, got)
		}
		broken, err := client.Get(url + "/broken")
		if err == nil {
			_, err = io.ReadAll(broken.Body)
			broken.Body.Close()
		}
		if err == nil {
			t.Error("a body that cannot be decoded looks whole")
		}

		slow, err := client.Get(url + "/slow")
		must(t, err)
		defer slow.Body.Close()
		first := make([]byte, 2)
		if _, err := io.ReadFull(slow.Body, first); string(first) != "a " || err != nil {
			t.Errorf("%q, %v", first, err)
		}
		close(proceed)
		if rest := body(t, slow); rest != "https://app."+domain+"/xx" {
			t.Errorf("%q", rest)
		}
		balanced(t, budget)
	})
}

func TestPolicyReplacesInRequests(t *testing.T) {
	visitorProtocols(t, func(t *testing.T, protocol string) {
		budget := changing.NewBudget(wholeBudget)
		s := start(t, bodies(budget))
		s.hold("app", s.upstream(func(w http.ResponseWriter, r *http.Request) {
			got, err := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%d %s %v %s", r.ContentLength, r.Header.Get("Content-Encoding"), err, got)
		}), `
on_http_request:
- actions:
  - type: request-body-find-replace
    config: {replacements: [{from: 'key=(\w{2})\w*', to: 'key=$1…'}, {from: '…', to: '...'}]}`)
		client := s.client(protocol)
		post := func(coding string, sent io.Reader) string {
			r, err := http.NewRequest(http.MethodPost, "https://app."+domain, sent)
			must(t, err)
			r.Header.Set("Content-Encoding", coding)
			response, err := client.Do(r)
			must(t, err)
			return body(t, response)
		}
		if got := post("identity", strings.NewReader("a=1&key=secret")); got != "13 identity <nil> a=1&key=se..." {
			t.Errorf("got %q", got)
		}
		if got := post("identity", struct{ io.Reader }{strings.NewReader("a=1&key=secret")}); got != "-1 identity <nil> a=1&key=se..." {
			t.Errorf("got %q", got)
		}
		if got := post("identity", nil); got != "0 identity <nil> " {
			t.Errorf("got %q", got)
		}
		var packed strings.Builder
		z := gzip.NewWriter(&packed)
		_, _ = io.WriteString(z, strings.Repeat("key=secret ", 50_000))
		_ = z.Close()
		if got := post("gzip", strings.NewReader(packed.String())); got != "-1  <nil> "+strings.Repeat("key=se... ", 50_000) {
			t.Errorf("got %.100q, %d bytes", got, len(got))
		}
		if got := post("compress", strings.NewReader("x")); !strings.Contains(got, "ERR_POSTERN_680") {
			t.Errorf("got %.200q", got)
		}
		if got := post("gzip", strings.NewReader("x")); !strings.Contains(got, "ERR_POSTERN_680") {
			t.Errorf("got %.200q", got)
		}
		balanced(t, budget)
	})
}

func TestPolicyReplacesInEvents(t *testing.T) {
	visitorProtocols(t, func(t *testing.T, protocol string) {
		budget := changing.NewBudget(wholeBudget)
		s := start(t, bodies(budget))
		proceed := make(chan struct{})
		s.hold("app", s.upstream(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			for _, event := range []string{": hello\n\n", "id:1\r\ndata:ssn 123-45-6789\r\n\r\n", "event: raw\ndata: 123-45-6789\n\n"} {
				_, _ = io.WriteString(w, event)
				_ = http.NewResponseController(w).Flush()
				<-proceed
			}
		}), `
on_event_stream_message:
- expressions: ["!has(message.event) && res.status_code == 200 && req.headers['x-visitor'][0] == 'ann'"]
  actions:
  - type: sse-find-replace
    config: {replacements: [{from: '\d{3}-\d{2}-(\d{4})', to: '$1 of ${req.headers["x-visitor"][0]}'}]}`)
		request, err := http.NewRequest(http.MethodGet, "https://app."+domain, nil)
		must(t, err)
		request.Header.Set("X-Visitor", "ann")
		r, err := s.client(protocol).Do(request)
		must(t, err)
		defer r.Body.Close()
		for _, want := range []string{": hello\n\n", "id:1\r\ndata:ssn 6789 of ann\r\n\r\n", "event: raw\ndata: 123-45-6789\n\n"} {
			got := make([]byte, len(want))
			if _, err := io.ReadFull(r.Body, got); string(got) != want || err != nil {
				t.Fatalf("%q, want %q, %v", got, want, err)
			}
			proceed <- struct{}{}
		}
		if rest := body(t, r); rest != "" {
			t.Errorf("%q", rest)
		}
	})
}
