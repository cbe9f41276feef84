package edge_test

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/policy"
)

// compiled is a policy for an endpoint of a scheme.
func compiled(t testing.TB, scheme postern.Scheme, text string) *policy.Program {
	t.Helper()
	p, err := policy.Compile(text, policy.Target{Scheme: scheme, Editable: policy.Editable{Request: edge.EditableRequestHeader, Response: edge.EditableResponseHeader}})
	must(t, err)
	return p
}

// policedPool puts an endpoint online whose members have the policies that they have.
func (s *site) policedPool(url string, all ...*member) {
	s.t.Helper()
	r := routeTo(url, &owner{members: all})
	for _, m := range all {
		if !slices.ContainsFunc(r.Policies, m.policy.Same) {
			r.Policies = append(r.Policies, m.policy)
		}
		s.t.Cleanup(m.stop)
	}
	s.add(r)
}

// Members of a pool may have different policies: whoever serves a request was asked first,
// also where it is the second that is tried.
func TestEachMemberIsAskedFirst(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		s := start(t, path)
		var seen [3]atomic.Int64
		members := make([]*member, 3)
		for i := range members {
			own := fmt.Sprint(i)
			members[i] = newMember(s.upstream(func(_ http.ResponseWriter, r *http.Request) {
				seen[i].Add(1)
				if got := strings.Join(r.Header["X-Asked"], ","); i < 2 && got != own || i == 2 && got != "" {
					t.Errorf("member %d gets a request that was asked %q", i, got)
				}
			}))
			if i < 2 {
				members[i].policy = compiled(t, postern.HTTPS, `on_http_request: [{actions: [{type: add-headers, config: {headers: {x-asked: "`+own+`"}}}]}]`)
			}
		}
		s.policedPool("https://pool."+domain, members...)
		for range 30 {
			if r, _ := get(t, s.client(), "https://pool."+domain); r.StatusCode != http.StatusOK {
				t.Fatal(r.Status)
			}
		}
		members[0].refuse = postern.Errorf(postern.CodeLinkLost, "gone")
		for range 12 {
			if r, _ := get(t, s.client(), "https://pool."+domain); r.StatusCode != http.StatusOK {
				t.Fatal(r.Status)
			}
		}
		for i := range seen {
			if seen[i].Load() == 0 {
				t.Errorf("member %d had no request", i)
			}
		}
	})
}

// Nobody slips past a policy that a route does not know of yet.
func TestPolicyOfALateMember(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		s := start(t, path)
		m := newMember(s.upstream(func(http.ResponseWriter, *http.Request) { t.Error("the request has come through") }))
		m.policy = compiled(t, postern.HTTPS, `on_http_request: [{actions: [{type: deny}]}]`)
		t.Cleanup(m.stop)
		s.add(routeTo("https://late."+domain, &owner{members: []*member{m}}))
		if r, _ := get(t, s.client(), "https://late."+domain); r.StatusCode != http.StatusNotFound {
			t.Error(r.Status)
		}
	})
}

// Rules for connections hold for tcp endpoints, for tls ones, and once for each connection
// of visitors with requests.
func TestPoliciesOfConnections(t *testing.T) {
	s := start(t)
	text := `on_tcp_connect: [{expressions: ["conn.client_ip == '127.0.0.1'"], actions: [{type: close-connection}]}]`
	addr, _ := s.tcpPort(s.upstream(func(http.ResponseWriter, *http.Request) { t.Error("the connection has come through") }),
		func(m *member) { m.policy = compiled(t, postern.TCP, text) })
	if conn, err := net.Dial("tcp", addr); err == nil { // it may be over so soon
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("the tcp endpoint answers: %d, %v", n, err)
		}
	}
	open := newMember(s.upstream(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("X-From")) }))
	open.policy = compiled(t, postern.HTTPS, `
on_tcp_connect: [{actions: [{type: set-vars, config: {vars: [{from: "${conn.client_port}"}]}}]}]
on_http_request: [{actions: [{type: add-headers, config: {headers: {x-from: "${vars.from}"}}}]}]`)
	s.policedPool("https://open."+domain, open)
	client := s.client("h2")
	_, first := get(t, client, "https://open."+domain)
	_, second := get(t, client, "https://open."+domain)
	if first == "" || first != second {
		t.Errorf("over one connection: %q, then %q", first, second)
	}
	shut := newMember("127.0.0.1:1")
	shut.policy = compiled(t, postern.HTTPS, text)
	s.policedPool("https://shut."+domain, shut)
	if r, err := client.Get("https://shut." + domain); err == nil {
		t.Errorf("a closed connection answers %s", r.Status)
		_ = r.Body.Close()
	}
}

// Whatever a policy does not name goes on as it came: every header, and every byte.
func TestPoliciesTouchNothingElse(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		s := start(t, path)
		var mu sync.Mutex
		var seen struct {
			method, target, body string
			header               http.Header
		}
		m := newMember(s.upstream(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			seen.method, seen.target, seen.body, seen.header = r.Method, r.RequestURI, string(body), r.Header
			_, _ = w.Write(body)
		}))
		m.policy = compiled(t, postern.HTTPS, `
on_http_request: [{actions: [{type: add-headers, config: {headers: {x-policy: added}}}, {type: remove-headers, config: {headers: [x-gone]}}]}]
on_http_response: [{actions: [{type: add-headers, config: {headers: {x-policy: added}}}]}]`)
		s.policedPool("https://same."+domain, m)
		clients := []*http.Client{s.client("http/1.1"), s.client("h2")}
		rapid.Check(t, func(t *rapid.T) {
			sent := http.Header{"X-Gone": {"1"}, "User-Agent": {"rapid"}}
			for range rapid.IntRange(0, 6).Draw(t, "headers") {
				name := "X-" + http.CanonicalHeaderKey(rapid.StringMatching(`[a-fh-o]{1,9}`).Draw(t, "name"))
				sent[name] = append(sent[name], rapid.StringMatching(`([!-~]([ -~]{0,20}[!-~])?)?`).Draw(t, "value"))
			}
			method := rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE", "PATCH", "PROPFIND"}).Draw(t, "method")
			target := "/" + rapid.StringMatching(`([a-z~@!$&'()*+,;=:-]|%[0-9A-F]0){0,9}(\?([a-z/?=&+;]|%2[0-9A-F]){0,12})?`).Draw(t, "target")
			text := ""
			if method != "GET" {
				text = string(rapid.SliceOfN(rapid.Byte(), 0, 3000).Draw(t, "body"))
			}
			client := rapid.SampledFrom(clients).Draw(t, "client")
			request, err := http.NewRequest(method, "https://same."+domain+target, strings.NewReader(text))
			if err != nil {
				return // no client can send it
			}
			request.Header = maps.Clone(sent)
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			back, _ := io.ReadAll(response.Body)
			if response.StatusCode == http.StatusBadRequest { // what could be read in two ways
				return
			}
			mu.Lock()
			defer mu.Unlock()
			delete(sent, "X-Gone")
			sent["X-Policy"] = []string{"added"}
			got := maps.Clone(seen.header)
			for _, ours := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "Content-Length"} {
				delete(got, ours)
			}
			if diff := cmp.Diff(sent, got); diff != "" || seen.method != method || seen.target != target || seen.body != text || string(back) != text {
				t.Fatalf("%s %s came as %s %s, %d bytes as %d and %d, headers (-sent +got):\n%s", method, target, seen.method, seen.target, len(text), len(seen.body), len(back), diff)
			}
		})
	})
}
