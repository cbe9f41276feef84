package server_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/link/sessionmsg"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

// policed is a server whose endpoints have policies, and visitors of both versions of HTTP.
type policed struct {
	*node
	client *native.Client
}

// obeying starts a server and an agent whose endpoints are all answered by handler.
func obeying(t *testing.T, c server.Config, handler http.HandlerFunc) *policed {
	t.Helper()
	n := start(t, c, server.Options{})
	client, _ := n.agent(link.Hello{Token: postern.Secret(n.Keys().Authtoken)})
	go serve(client, handler)
	return &policed{n, client}
}

// bind has an endpoint held to a policy.
func (p *policed) bind(name, policy string) (url string) {
	p.t.Helper()
	url, _ = p.bound(name, policy)
	return url
}

// bound is bind, and tells who the endpoint is.
func (p *policed) bound(name, policy string) (url string, id postern.EndpointID) {
	p.t.Helper()
	url = "https://" + name + "." + domain
	asked, err := postern.ParseURLRequest(url, postern.HTTPS)
	if err != nil {
		p.t.Fatal(err)
	}
	text, err := json.Marshal(policy)
	if err != nil {
		p.t.Fatal(err)
	}
	middleware := map[string]json.RawMessage{sessionmsg.TrafficPolicy: text}
	bound, err := p.client.Bind(p.t.Context(), link.BindRequest{URL: asked, Middleware: middleware})
	if err != nil {
		p.t.Fatalf("Bind: %v", err)
	}
	return url, bound.EndpointID
}

// visit sends one request by a version of HTTP, and gives the answer with its body.
func (p *policed) visit(version int, url string, header http.Header) (*http.Response, string) {
	p.t.Helper()
	visitor := p.Visitor()
	if version == 1 {
		transport := visitor.Transport.(*http.Transport)
		transport.ForceAttemptHTTP2 = false
		transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	}
	defer visitor.CloseIdleConnections()
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
	}
	response, err := visitor.Do(request)
	if err != nil {
		return &http.Response{}, err.Error()
	}
	defer response.Body.Close()
	if response.ProtoMajor != version {
		p.t.Errorf("HTTP/%d was spoken, not HTTP/%d", response.ProtoMajor, version)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response, string(body)
}

// answered checks a status and the code of a page.
func (p *policed) answered(what string, r *http.Response, body string, status int, code postern.Code) {
	p.t.Helper()
	if r.StatusCode != status || code != "" && r.Header.Get("Ngrok-Error-Code") != string(code) {
		p.t.Errorf("%s: %d %q %.300s, want %d %s", what, r.StatusCode, r.Header.Get("Ngrok-Error-Code"), body, status, code)
	}
}

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }

// A rate limit holds whichever way a visitor comes.
func TestRateLimit(t *testing.T) {
	p := obeying(t, testConfig(t), hello)
	url := p.bind("limited", `{"on_http_request": [{"actions": [{"type": "rate-limit", "config":
		{"name": "two", "algorithm": "sliding_window", "capacity": 2, "rate": "60s", "bucket_key": ["req.headers['x-user'][0]"]}}]}]}`)
	for _, version := range []int{1, 2} {
		header := http.Header{"X-User": {fmt.Sprint("user ", version)}}
		for range 2 {
			r, body := p.visit(version, url, header)
			p.answered("within the limit", r, body, http.StatusOK, "")
		}
		for other := range 2 {
			r, body := p.visit(other+1, url, header)
			p.answered("above the limit", r, body, http.StatusTooManyRequests, postern.CodePolicyRateLimited.Entry().Wire)
			if r.Header.Get("Retry-After") == "" {
				t.Error("nobody says when to come again")
			}
		}
	}
}

// A breaker opens when the service fails, and closes when it has recovered.
func TestCircuitBreaker(t *testing.T) {
	var failing atomic.Bool
	var asked atomic.Int64
	p := obeying(t, testConfig(t), func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if failing.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	for _, version := range []int{1, 2} {
		failing.Store(true)
		url := p.bind(fmt.Sprint("breaking", version), `
on_http_request:
- actions:
  - type: circuit-breaker
    config: {error_threshold: 0.5, volume_threshold: 4, tripped_duration: 1s}
`)
		for range 4 {
			r, body := p.visit(version, url, nil)
			p.answered("a failure", r, body, http.StatusInternalServerError, "")
		}
		p.eventually("the breaker opens", func() error { // the last answer is counted when it has left
			r, body := p.visit(version, url, nil)
			return wants(fmt.Errorf("%d %.100s", r.StatusCode, body), "503")
		})
		before := asked.Load()
		r, body := p.visit(version, url, nil)
		p.answered("while it is open", r, body, http.StatusServiceUnavailable, postern.CodePolicyCircuitOpen)
		if r.Header.Get("Retry-After") != "1" || asked.Load() != before {
			t.Errorf("the service was asked, or Retry-After is %q", r.Header.Get("Retry-After"))
		}
		failing.Store(false)
		p.eventually("the breaker closes", func() error {
			for range 4 { // three are trials, and the last of them closes it when its answer has left
				if r, body := p.visit(version, url, nil); r.StatusCode != http.StatusOK {
					return fmt.Errorf("%d %.300s", r.StatusCode, body)
				}
			}
			return nil
		})
		for range 5 {
			r, body := p.visit(version, url, nil)
			p.answered("after it has recovered", r, body, http.StatusOK, "")
		}
	}
}

// Addresses are let through by an endpoint's policy, and by the account's IP policies as
// they are at the moment.
func TestRestrictIPs(t *testing.T) {
	p := obeying(t, testConfig(t), hello)
	owner := service.Caller{Account: postern.AccountID(p.Keys().AccountID), Role: postern.Owner, Source: service.SourceServer}
	list, err := p.Service().IPPolicies().Create(t.Context(), owner, resource.IPPolicyCreate{})
	if err != nil {
		t.Fatal(err)
	}
	urls := map[string]string{
		"open":   p.bind("open", `{"on_http_request": [{"actions": [{"type": "restrict-ips", "config": {"allow": ["127.0.0.1"]}}]}]}`),
		"closed": p.bind("closed", `{"on_http_request": [{"actions": [{"type": "restrict-ips", "config": {"allow": ["0.0.0.0/0"], "deny": ["127.0.0.0/8"]}}]}]}`),
		"answer": p.bind("answer", `{"on_http_response": [{"actions": [{"type": "restrict-ips", "config": {"allow": ["192.0.2.0/24"]}}]}]}`),
		"cut":    p.bind("cut", `{"on_tcp_connect": [{"actions": [{"type": "restrict-ips", "config": {"allow": ["192.0.2.0/24"]}}]}]}`),
		"listed": p.bind("listed", `{"on_http_request": [{"actions": [{"type": "restrict-ips", "config": {"ip_policies": ["`+list.ID+`"]}}]}]}`),
	}
	status := func(version int, name string) error {
		r, body := p.visit(version, urls[name], http.Header{"X-Forwarded-For": {"192.0.2.1"}})
		if r.StatusCode == 0 {
			return nil
		}
		return fmt.Errorf("%d %s %.100s", r.StatusCode, r.Header.Get("Ngrok-Error-Code"), body)
	}
	refused := "403 " + string(postern.CodeVisitorAddressRefused)
	for _, version := range []int{1, 2} {
		for name, want := range map[string]string{"open": "200  hello", "closed": refused, "answer": refused, "listed": ""} {
			if got := fmt.Sprint(status(version, name)); !strings.HasPrefix(got, want) {
				t.Errorf("%s by HTTP/%d: %s", name, version, got)
			}
		}
		if err := status(version, "cut"); err != nil {
			t.Errorf("a connection that a policy closes is answered by HTTP/%d: %v", version, err)
		}
	}
	p.eventually("nobody is let in by an empty list", func() error { return wants(status(2, "listed"), refused) })
	rule, err := p.Service().IPPolicyRules().Create(t.Context(), owner, resource.IPPolicyRuleCreate{CIDR: "127.0.0.0/8", IPPolicyID: list.ID, Action: "allow"})
	if err != nil {
		t.Fatal(err)
	}
	p.eventually("a rule lets this address in", func() error { return wants(status(1, "listed"), "200") })
	if err := p.Service().IPPolicyRules().Delete(t.Context(), owner, rule.ID); err != nil {
		t.Fatal(err)
	}
	p.eventually("and without it nobody comes in", func() error { return wants(status(2, "listed"), refused) })
	if err := p.Service().IPPolicies().Delete(t.Context(), owner, list.ID); err != nil {
		t.Fatal(err)
	}
	gone := "500 " + string(postern.CodePolicyFailed.Entry().Wire)
	p.eventually("without the list everybody is refused", func() error { return wants(status(1, "listed"), gone) })
	if got := fmt.Sprint(status(2, "listed")); !strings.HasPrefix(got, gone) {
		t.Errorf("without the list by HTTP/2: %s", got)
	}
}

// wants tells whether what was got begins as it should.
func wants(got error, want string) error {
	if strings.HasPrefix(fmt.Sprint(got), want) {
		return nil
	}
	return got
}
