package edge_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

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

// A policy without a rule is none, also beside members who have one.
func TestPolicyWithoutRules(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		s := start(t, path)
		addr := s.upstream(func(http.ResponseWriter, *http.Request) {})
		for name, texts := range map[string][]string{
			"empty": {"{}"}, "phases": {"on_http_request: []\non_http_response: []"}, "comment": {"# nothing yet"},
			"pool": {"{}", `on_http_request: [{actions: [{type: set-vars, config: {vars: [{a: b}]}}]}]`},
		} {
			var members []*member
			for _, text := range texts {
				m := newMember(addr)
				m.policy = compiled(t, postern.HTTPS, text)
				members = append(members, m)
			}
			s.policedPool("https://"+name+"."+domain, members...)
			for _, protocol := range []string{"http/1.1", "h2"} {
				for range 2 * len(texts) {
					if r, _ := get(t, s.client(protocol), "https://"+name+"."+domain); r.StatusCode != http.StatusOK {
						t.Errorf("%s over %s: %s", name, protocol, r.Status)
					}
				}
			}
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
