package edge_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/outcall"
)

// startCalling is start with policies that may call internal endpoints, and this machine.
func startCalling(t *testing.T) *site {
	t.Helper()
	calls := outcall.New(outcall.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	t.Cleanup(calls.Close)
	s := start(t, func(c *edge.Config) { c.Policy.Calls = calls })
	calls.SetInside(s.edge)
	return s
}

// calls is a policy that calls a URL, and says what came of it.
func calls(url string) string {
	return fmt.Sprintf(`on_http_request:
- actions:
  - type: http-request
    config: {url: %q, method: POST, body: words, headers: {x-forwarded-for: 192.0.2.66, postern-client: forged}}
  - type: custom-response
    config: {body: "${actions.ngrok.http_request.res.status_code} ${actions.ngrok.http_request.res.body}${actions.ngrok.http_request.error.code}"}
`, url)
}

// A policy calls an internal endpoint of its own account: that one's policy counts, nobody
// else's endpoint answers, and the service learns whose visitor it was for.
func TestPoliciesCallInternalEndpoints(t *testing.T) {
	s := startCalling(t)
	s.policed("a", "https://api.internal", "", s.seesItself("mine"))
	s.policed("b", "https://api.internal", "", s.seesItself("theirs"))
	s.policed("b", "https://theirs.internal", "", s.seesItself("theirs"))
	s.policed("a", "http://plain.internal:8080", "", s.seesItself("plain"))
	s.policed("a", "tcp://db.internal:5432", "", s.seesItself("db"))
	s.policed("a", "https://guarded.internal", "on_http_request: [{actions: [{type: deny, config: {status_code: 418}}]}]", s.seesItself("guarded"))
	s.policed("a", "https://loop.internal", calls("https://loop.internal/"), "")
	s.policed("a", "https://sending.internal", sends("https://api.internal"), "")
	redirecting := s.upstream(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("to"), http.StatusFound)
	})
	s.policed("a", "https://moved.internal", "", redirecting)
	for number, c := range []struct{ to, want string }{
		{"https://api.internal/x?y", "200 mine POST api.internal/x?y words by=api.internal original= proto=https for=127.0.0.1 "},
		{"https://API.internal:443/", "200 mine POST API.internal:443/ words"},
		{"http://plain.internal:8080/", "200 plain POST plain.internal:8080/ words by=plain.internal:8080 original= proto=http for=127.0.0.1 "},
		{"https://theirs.internal/", string(postern.CodeInternalOffline)},
		{"https://nobody.internal/", string(postern.CodeInternalOffline)},
		{"https://db.internal:5432/", string(postern.CodeInternalOffline)},
		{"https://guarded.internal/", "418 "},
		{"https://sending.internal/", "200 mine POST api.internal/ words by=sending.internal"},
		{"https://moved.internal/?to=https://api.internal/z", "200 mine GET api.internal/z  by=api.internal"},
		{"https://moved.internal/?to=https://theirs.internal/z", string(postern.CodeInternalOffline)},
		{"http://" + redirecting + "/?to=https://api.internal/", string(postern.CodeOutcallRefused)},
		{"http://" + redirecting + "/?to=http://plain.internal:8080", string(postern.CodeOutcallRefused)},
	} {
		url := fmt.Sprintf("https://app%d.%s", number, domain)
		s.policed("a", url, calls(c.to), "")
		for _, protocol := range []string{"http/1.1", "h2"} {
			if status, text, _ := s.says(t, s.client(protocol), "GET", url+"/", ""); status != 200 || !strings.HasPrefix(strings.TrimLeft(text, " "), c.want) {
				t.Errorf("%s by %s: %d %q, want %q", c.to, protocol, status, text, c.want)
			}
		}
	}
	s.policed("a", "https://loop."+domain, calls("https://loop.internal/"), "")
	if _, text, _ := s.says(t, s.client(), "GET", "https://loop."+domain+"/", ""); strings.Count(text, "200") != 5 || !strings.HasSuffix(text, string(postern.CodeForwardLoop)) {
		t.Errorf("calls in a circle: %q", text)
	}
}

// A visitor who is shown why a call has failed is shown no internal name.
func TestInternalNamesStayInside(t *testing.T) {
	s := startCalling(t)
	s.policed("a", "https://hidden.internal", "", s.upstream(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/again", http.StatusFound)
	}))
	for name, to := range map[string]string{"moved": "https://hidden.internal/", "offline": "https://nobody-hidden.internal/", "wrong": "ftp://hidden.internal/"} {
		s.policed("a", "https://"+name+"."+domain, `on_http_request: [{actions: [{type: http-request, config: {url: "`+to[:3]+`${'`+to[3:]+`'}", max_redirects: 1, on_error: halt}}]}]`, "")
		status, text, header := s.says(t, s.client(), "GET", "https://"+name+"."+domain+"/", "")
		if status != http.StatusBadGateway || strings.Contains(text+fmt.Sprint(header), "hidden") {
			t.Errorf("%s: %d %v %s", name, status, header, text)
		}
	}
}

// Requests that are under way while the edge drains still get what their policies ask for.
func TestCallsWhileDraining(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*edge.Config)) {
		called := outcall.New(outcall.Config{})
		t.Cleanup(called.Close)
		s := start(t, path, func(c *edge.Config) { c.Policy.Calls = called })
		called.SetInside(s.edge)
		begun, goOn := make(chan struct{}), make(chan struct{})
		s.policed("a", "https://api.internal", "", s.seesItself("mine"))
		s.policed("a", "https://app."+domain, `on_http_response:
- actions:
  - type: http-request
    config: {url: "https://api.internal/"}
  - type: add-headers
    config: {headers: {x-status: "${actions.ngrok.http_request.res.status_code}"}}
`, s.upstream(func(http.ResponseWriter, *http.Request) {
			close(begun)
			<-goOn
		}))
		client, got := s.client("http/1.1"), make(chan string, 1)
		go func() {
			response, err := client.Get("https://app." + domain + "/")
			if err != nil {
				got <- err.Error()
				return
			}
			_ = response.Body.Close()
			got <- response.Header.Get("X-Status")
		}()
		<-begun
		drained := make(chan error, 1)
		go func() { drained <- s.edge.Drain(context.Background()) }()
		eventually(t, "nobody is let in", func() bool {
			conn, err := net.Dial("tcp", s.https)
			if err == nil {
				_ = conn.Close()
			}
			return err != nil
		})
		close(goOn)
		if status := <-got; status != "200" {
			t.Errorf("the call came to %q", status)
		}
		if err := <-drained; err != nil {
			t.Error(err)
		}
	})
}
