package edge_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/errorpage"
)

// paged is a set of pages, or of what else is said.
func paged(t *testing.T, of postern.ErrorPages) *errorpage.Set {
	t.Helper()
	set, err := errorpage.Compile(of)
	must(t, err)
	return set
}

// one is a single page for errors.
func one(errors, html string) postern.ErrorPages {
	return postern.ErrorPages{Pages: []postern.ErrorPage{{Errors: strings.Fields(errors), HTML: html}}}
}

// withPages has an edge follow pages.
func withPages(current *errorpage.Current) func(*config) {
	return func(c *config) { c.Pages = current }
}

func accept(kind string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Accept", kind) }
}

const browser = "text/html,application/xhtml+xml,*/*;q=0.8"

// Browsers are shown the owner's page in place of the edge's; programs find what they know.
func TestOwnersPage(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		var current errorpage.Current
		s := start(t, path, withPages(&current))
		current.Set(errorpage.NewTable([]errorpage.Domain{{Name: "app." + domain, Account: "acc_1", Pages: paged(t, postern.ErrorPages{
			Pages: []postern.ErrorPage{
				{Errors: []string{"offline"}, HTML: "<h1>{{host}} sleeps</h1> {{status}} {{code}} {{request_id}}", Text: "asleep"},
			},
		})}}))
		for _, protocol := range []string{"http/1.1", "h2"} {
			client := s.client(protocol)
			r, text := get(t, client, "https://app."+domain, accept(browser))
			id := r.Header.Get("Postern-Request-Id")
			if want := "<h1>app." + domain + " sleeps</h1> 404 ERR_NGROK_3200 " + id; text != want || r.StatusCode != 404 {
				t.Errorf("%s: %d %q, want %q", protocol, r.StatusCode, text, want)
			}
			for name, want := range map[string]string{
				"Content-Type": "text/html; charset=utf-8", "Ngrok-Error-Code": "ERR_NGROK_3200", "X-Content-Type-Options": "nosniff",
				"Cache-Control": "no-store", "Vary": "Accept",
			} {
				if got := r.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q, want %q", protocol, name, got, want)
				}
			}
			if csp := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "script") {
				t.Errorf("%s: the page may load %q", protocol, csp)
			}
			if r, text := get(t, client, "https://app."+domain, accept("*/*")); text != "asleep\nERR_NGROK_3200\n" || r.Header.Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s: as text %q", protocol, text)
			}
			if r, text := get(t, client, "https://app."+domain, accept("application/json")); !strings.Contains(text, `"error_code":"ERR_NGROK_3200"`) || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("%s: as JSON %q", protocol, text)
			}
			if _, text := get(t, client, "https://app."+domain, accept("*/*"), func(r *http.Request) { r.Header.Set("Content-Type", "application/grpc+proto") }); strings.Contains(text, "asleep") {
				t.Errorf("%s: to gRPC %q", protocol, text)
			}
			if _, text := get(t, client, "https://other."+domain, accept(browser)); strings.Contains(text, "sleeps") {
				t.Errorf("%s: elsewhere %q", protocol, text)
			}
			head, err := client.Head("https://app." + domain)
			must(t, err)
			if head.StatusCode != 404 || head.ContentLength <= 0 || body(t, head) != "" {
				t.Errorf("%s: HEAD gave %d with %d bytes", protocol, head.StatusCode, head.ContentLength)
			}
		}
	})
}

// Each failure has the page of its class: what a service does, and what a policy refuses.
func TestOwnersPageByClass(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		var current errorpage.Current
		s := start(t, path, withPages(&current), func(c *config) { c.Timeouts = edge.Timeouts{ResponseHeader: 20 * time.Millisecond} })
		current.Set(errorpage.NewTable([]errorpage.Domain{{Name: "*." + domain, Account: "", Pages: paged(t, postern.ErrorPages{
			Pages: []postern.ErrorPage{
				{Errors: []string{"502"}, HTML: "no service"}, {Errors: []string{"504"}, HTML: "slow"},
				{Errors: []string{"401", "403"}, HTML: "keep out"}, {Errors: []string{"429"}, HTML: "too fast {{retry_after}}"},
			},
		})}}))
		done := make(chan struct{})
		defer close(done)
		slow := s.upstream(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-done:
			case <-r.Context().Done():
			}
		})
		policed := func(text string) func(*member) {
			return func(m *member) { m.policy = compiled(t, postern.HTTPS, "on_http_request: [{actions: ["+text+"]}]") }
		}
		s.serve("https://down."+domain, "", func(m *member) { m.refuse = &postern.Error{Code: postern.CodeUpstreamUnreachable} })
		s.serve("https://slow."+domain, slow)
		s.serve("https://asks."+domain, slow, policed(`{type: basic-auth, config: {credentials: ["user:password8"]}}`))
		s.serve("https://shut."+domain, slow, policed(`{type: restrict-ips, config: {deny: [0.0.0.0/0]}}`))
		for _, protocol := range []string{"http/1.1", "h2"} {
			for name, want := range map[string]string{"down": "502 no service", "slow": "504 slow", "asks": "401 keep out", "shut": "403 keep out"} {
				r, text := get(t, s.client(protocol), "https://"+name+"."+domain, accept(browser))
				status, page, _ := strings.Cut(want, " ")
				code := r.Header.Get("Ngrok-Error-Code")
				if got := r.Status[:3]; got != status || text != page+"\n<!-- "+code+" -->\n" || code == "" {
					t.Errorf("%s %s: %s %q", protocol, name, got, text)
				}
				if name == "asks" && r.Header.Get("Www-Authenticate") == "" {
					t.Errorf("%s: nobody asks for a password", protocol)
				}
			}
		}
	})
}

// The endpoint's page wins over the domain's, and the nearest domain's over those above;
// another account's is not shown.
func TestWhosePage(t *testing.T) {
	var current errorpage.Current
	s := start(t, withPages(&current))
	current.Set(errorpage.NewTable([]errorpage.Domain{
		{Name: "*." + domain, Account: "acc_1", Pages: paged(t, one("*", "wildcard"))},
		{Name: "app." + domain, Account: "acc_1", Pages: paged(t, one("offline", "domain"))},
	}))
	down := func(host postern.Hostname, account postern.AccountID, pages *errorpage.Set) {
		m := newMember("")
		m.refuse = &postern.Error{Code: postern.CodeUpstreamUnreachable}
		r := routeTo("https://"+string(host), &owner{members: []*member{m}})
		r.Account, r.Pages = account, pages
		s.add(r)
		t.Cleanup(m.stop)
	}
	down("own."+domain, "acc_1", paged(t, one("502", "endpoint")))
	down("half."+domain, "acc_1", paged(t, one("504", "endpoint")))
	down("foreign."+domain, "acc_2", nil)
	for name, want := range map[string]string{"app": "domain", "nobody": "wildcard", "own": "endpoint", "half": "wildcard", "foreign": ""} {
		_, text := get(t, s.client(), "https://"+name+"."+domain, accept(browser))
		got, _, _ := strings.Cut(text, "\n")
		if want == "" && !strings.HasPrefix(text, "<!DOCTYPE html>") || want != "" && got != want {
			t.Errorf("%s has the page %.200q, want %q", name, text, want)
		}
	}
}

// While the switch is on nobody gets to the service but those in the list, and it does not
// matter whether an agent is there; it is followed live.
func TestMaintenance(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		var current errorpage.Current
		s := start(t, path, withPages(&current), trustLoopback)
		s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("service")) }))
		on := one("maintenance", "back in {{retry_after}} s")
		on.Maintenance = postern.Maintenance{Enabled: true, RetryAfter: 90, AllowCIDRs: []string{"192.0.2.0/24"}}
		from := func(addr string) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set("X-Forwarded-For", addr) }
		}
		for _, protocol := range []string{"http/1.1", "h2"} {
			client := s.client(protocol)
			if _, text := get(t, client, "https://app."+domain); text != "service" {
				t.Fatalf("%s: before %q", protocol, text)
			}
			current.Set(errorpage.NewTable([]errorpage.Domain{{Name: "*." + domain, Pages: paged(t, on)}}))
			for _, host := range []string{"app.", "nobody."} {
				r, text := get(t, client, "https://"+host+domain, accept(browser), from("198.51.100.1"))
				if r.StatusCode != 503 || text != "back in 90 s\n<!-- ERR_NGROK_3004 -->\n" || r.Header.Get("Retry-After") != "90" || r.Header.Get("Postern-Error-Code") != string(postern.CodeMaintenance) {
					t.Errorf("%s %s: %d %q %v", protocol, host, r.StatusCode, text, r.Header)
				}
			}
			if _, text := get(t, client, "https://app."+domain, from("192.0.2.7")); text != "service" {
				t.Errorf("%s: who may come in gets %q", protocol, text)
			}
			if r, _ := get(t, client, "https://nobody."+domain, from("192.0.2.7")); r.StatusCode != 404 {
				t.Errorf("%s: who may come in gets %d of what is offline", protocol, r.StatusCode)
			}
			if r, _ := get(t, client, "http://app."+domain, from("198.51.100.1")); r.StatusCode != 308 {
				t.Errorf("%s: without TLS %d", protocol, r.StatusCode)
			}
			current.Set(nil)
			if _, text := get(t, client, "https://app."+domain); text != "service" {
				t.Errorf("%s: after %q", protocol, text)
			}
		}
	})
}

// An endpoint can be closed by itself, and its list of networks looks at who connects where
// no proxy is trusted: what a visitor says about itself opens nothing.
func TestMaintenanceOfAnEndpoint(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		s := start(t, path)
		m := newMember(s.upstream(func(http.ResponseWriter, *http.Request) { t.Error("the service was asked") }))
		r := routeTo("http://app."+domain, &owner{members: []*member{m}})
		r.Pages = paged(t, postern.ErrorPages{Maintenance: postern.Maintenance{Enabled: true, AllowCIDRs: []string{"192.0.2.7"}}})
		s.add(r)
		t.Cleanup(m.stop)
		response, text := get(t, s.client(), "http://app."+domain, func(r *http.Request) { r.Header.Set("X-Forwarded-For", "192.0.2.7") })
		if response.StatusCode != 503 || response.Header.Get("Retry-After") != "300" || !strings.Contains(text, "closed for maintenance") {
			t.Errorf("%d %q", response.StatusCode, text)
		}
	})
}
