package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// tosses are attributes by which a service at a.postern.test, or its page, has a cookie
// reach further than to its own host.
var tosses = []string{
	"Domain=postern.test",
	"Domain=.postern.test",
	"DOMAIN=POSTERN.TEST",
	"\tdomain =\t.Postern.Test ",
	"Domain=postern.test.",
	`Domain="postern.test"`,
	`Domain=".postern.test"`,
	"Domain=..postern.test",
	"Domain=postern%2Etest",
	"Domain=test",
	"Domain=.test",
	"Domain=b.postern.test",
	"Domain=.b.postern.test",
	"Domain=postern.test; Domain=postern.test",
	"Domain=a.postern.test; Domain=postern.test",
	"Domain=postern.test; Domain=a.postern.test",
	"Domain=; Domain=postern.test",
	"Domain=postern.test; Domain=",
	"Domain; Domain=postern.test",
}

// tosser is a service that sets such cookies, and tells which ones it is sent.
type tosser struct{ lines []string }

// newTosser sets cookies with the names c0, c1, …, one for each of the tosses, and others.
func newTosser(t *testing.T, replace *strings.Replacer, others ...string) string {
	t.Helper()
	s := &tosser{lines: others}
	for i, attributes := range tosses {
		s.lines = append(s.lines, fmt.Sprintf("c%d=tossed; Path=/; Secure; %s", i, replace.Replace(attributes)))
	}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server.URL
}

// ServeHTTP implements http.Handler.
func (s *tosser) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	switch r.URL.Path {
	case "/set":
		w.Header()["Set-Cookie"] = slices.Clone(s.lines)
	case "/own":
		w.Header().Set("Set-Cookie", "own="+strings.Split(r.Host, ".")[0]+"; Path=/; Secure")
	case "/cookies":
		_, _ = io.WriteString(w, strings.Join(r.Header["Cookie"], "; "))
	default:
		_, _ = io.WriteString(w, "<!doctype html><title>page</title><p id=out>"+r.URL.Path+"</p>")
	}
}

// jar is a browser whose cookies are looked at.
type jar struct {
	*frontEnd
	port int
}

// at has the browser open a host's page, unless it has, and gives what a script there comes
// to.
func (j *jar) at(host, script string) string {
	j.t.Helper()
	j.visit(fmt.Sprintf("https://%s:%d/", host, j.port), "#out")
	return look(j.t, j.browser, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
}

// sent is which cookies the browser sends to a host, by name.
func (j *jar) sent(host string) map[string]string {
	j.t.Helper()
	all := make(map[string]string)
	for pair := range strings.SplitSeq(j.at(host, `fetch("/cookies").then(r => r.text())`), "; ") {
		if name, value, found := strings.Cut(pair, "="); found {
			all[name] += value
		}
	}
	return all
}

// tries has a page try to set a cookie by a script.
func (j *jar) tries(host string, lines ...string) {
	j.t.Helper()
	var script strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&script, "document.cookie = %q;\n", line)
	}
	j.at(host, script.String()+`""+document.cookie`)
}

func newJar(t *testing.T, browser context.Context, s *server) *jar {
	return &jar{frontEnd: &frontEnd{t: t, browser: browser}, port: s.https}
}

// gateCookie signs in at a gate as a program does, and gives the name of its cookie.
func (s *server) gateCookie(url string) string {
	s.t.Helper()
	response, _ := fetch(s.t, s.visitor(), strings.Replace(url, "https://", "https://ann:correct%20horse@", 1))
	for _, cookie := range response.Cookies() {
		if strings.HasPrefix(cookie.Name, "__Host-postern-gate-") {
			return cookie.Name
		}
	}
	s.t.Fatalf("the gate at %s sets no cookie: %v", url, response.Header)
	return ""
}

// An endpoint can neither give a browser cookies for another one below the same domain, nor
// read that one's, nor take the place of its gate's cookie. What its page can do by script
// is written in docs/domains.md, and seen here.
func TestCookiesOfEndpointsInABrowser(t *testing.T) {
	t.Parallel()
	cookiesStay(t, domain, true)
}

// Where the server's domain is on the public suffix list, as github.io is, scripts cannot
// set such cookies either.
func TestCookiesBelowAPublicSuffixInABrowser(t *testing.T) {
	t.Parallel()
	cookiesStay(t, "github.io", false)
}

// below has the tosses be about another domain than postern.test.
func below(domain string) *strings.Replacer {
	top := domain[strings.LastIndexByte(domain, '.')+1:]
	return strings.NewReplacer("postern.test", domain, "POSTERN.TEST", strings.ToUpper(domain), "Postern.Test", strings.ToUpper(domain[:1])+domain[1:],
		"postern%2Etest", strings.ReplaceAll(domain, ".", "%2E"), "Domain=test", "Domain="+top, "Domain=.test", "Domain=."+top)
}

// cookiesStay wants the cookies of a.domain not to get to b.domain; byScript tells whether
// the browser lets scripts have their way.
func cookiesStay(t *testing.T, domain string, byScript bool) {
	s := newServerOf(t, domain)
	s.start()
	s.bootstrap()
	a, b, as := "a."+domain, "b."+domain, below(domain)
	policy := filepath.Join(t.TempDir(), "policy.yml")
	if err := os.WriteFile(policy, []byte(`on_http_request: [{expressions: ["req.url.path == '/private'"], actions: [{type: basic-auth, config: {credentials: ["ann:correct horse"]}}]}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, url := s.agent("http", newTosser(t, as), "--url", "https://"+b, "--traffic-policy-file", policy)
	gate := s.gateCookie(url + "/private")
	evil := []string{
		gate + "=evil; Path=/; Secure; Domain=postern.test",
		gate + "=evil; Path=/; Secure; Domain=.postern.test; Domain=postern.test",
		gate + "=evil; Path=/; Domain=postern.test",
		gate + "=evil; Path=/private; Domain=postern.test; Secure",
		strings.ToLower(gate) + "=evil; Path=/; Secure; Domain=postern.test",
		"=" + gate + "=evil; Path=/; Secure; Domain=postern.test",
		" " + gate + "=evil; Path=/; Secure; Domain=postern.test",
	}
	for i := range evil {
		evil[i] = as.Replace(evil[i])
	}
	s.agent("http", newTosser(t, as, evil...), "--url", "https://"+a)
	browser := newJar(t, s.browser(), s)

	const private = `fetch("/private").then(async r => r.status + " " + await r.text())`
	// Without cookies, or the browser would ask a person for the password.
	if got := browser.at(b, strings.Replace(private, `")`, `", {credentials: "omit"})`, 1)); !strings.HasPrefix(got, "401 ") {
		t.Fatalf("before anybody signed in: %s", got)
	}
	browser.at(b, `fetch("/own").then(r => r.text())`)
	browser.at(b, `fetch("/private", {headers: {"Postern-Authorization": "Basic " + btoa("ann:correct horse")}}).then(r => r.text())`)
	before := browser.sent(b)
	if before["own"] != "b" || before[gate] == "" || len(before) != 2 {
		t.Fatalf("%s has the cookies %v", b, before)
	}
	same := func(when string) {
		t.Helper()
		got := browser.sent(b)
		for name, value := range got {
			if before[name] != value && !(byScript && when == "by script" && value == "scripted") {
				t.Errorf("%s: %s is sent %s=%s", when, b, name, value)
			}
		}
		if got[gate] != before[gate] || got["own"] != "b" {
			t.Errorf("%s: %s has lost cookies of its own: %v", when, b, got)
		}
		if got := browser.at(b, private); !strings.HasPrefix(got, "200 ") {
			t.Errorf("%s: who is signed in at %s is told %s", when, b, got)
		}
	}

	browser.at(a, `fetch("/set").then(r => r.text())`)
	if got := browser.sent(a); len(got) < len(tosses)/2 || got["own"] != "" || got[gate] == before[gate] {
		t.Errorf("%s is sent %v: the cookies should be its own, and %s's not there", a, got, b)
	}
	same("by header")

	var lines []string
	for i, attributes := range tosses {
		lines = append(lines, fmt.Sprintf("s%d=scripted; path=/; secure; %s", i, as.Replace(attributes)))
	}
	browser.tries(a, append(lines, evil...)...)
	same("by script")
	if got := browser.sent(b); (got["s0"] == "scripted") != byScript {
		t.Errorf("whether a script at %s can set cookies for %s is not as docs/domains.md says: %v", a, b, got)
	}
	if got := browser.at(a, "document.cookie"); strings.Contains(got, "own=") {
		t.Errorf("a script at %s reads %q", a, got)
	}
}

// What the browser would do with such cookies is seen at a domain that is one account's
// own: there they stay, and the names share them.
func TestCookiesOfAnOwnDomainInABrowser(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	if _, err := client.For(s.api(), resource.ReservedDomains()).Create(t.Context(), resource.ReservedDomainCreate{Domain: "shop.example.org"}); err != nil {
		t.Fatal(err)
	}
	const a, b = "a.shop.example.org", "b.shop.example.org"
	as := below("shop.example.org")
	for _, host := range []string{a, b} {
		s.agent("http", newTosser(t, as), "--url", "https://"+host)
	}
	browser := newJar(t, s.browser(), s)
	browser.at(a, `fetch("/set").then(r => r.text())`)
	got := browser.sent(b)
	for _, name := range []string{"c0", "c1", "c2", "c3", "c13", "c14"} {
		if got[name] != "tossed" {
			t.Errorf("%s is not sent the cookie %s, so the other test shows nothing of it: %v", b, name, got)
		}
	}
}
