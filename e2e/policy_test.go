package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	ngrok "golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/policy/trial"
)

// policedHost is the endpoint that the golden files of policies speak of.
const policedHost = "app.example.com"

// Every golden case of a policy for requests comes out at a running server as it does
// without one: over HTTP/1.1 and HTTP/2, with an unmodified SDK behind.
func TestPoliciesOnARunningServer(t *testing.T) {
	files, err := filepath.Glob("../server/policy/testdata/golden/*/*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	s := startServer(t, "trusted_proxies: [127.0.0.0/8]")
	if _, err := client.For(s.api(), resource.ReservedDomains()).Create(t.Context(), resource.ReservedDomainCreate{Domain: policedHost}); err != nil {
		t.Fatal(err)
	}
	agent := s.sdk()
	if err := agent.Connect(sdkContext(t)); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := trial.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if f.Target != postern.HTTPS || f.Last || f.Offline {
			continue
		}
		t.Run(strings.TrimPrefix(file, "../server/policy/testdata/golden/"), func(t *testing.T) { s.tries(t, agent, f) })
	}
}

func (s *server) tries(t *testing.T, agent ngrok.Agent, f *trial.File) {
	for _, http2 := range []bool{false, true} {
		// Anew for each, so that what a policy counts begins at nothing.
		listener, err := agent.Listen(sdkContext(t), ngrok.WithURL("https://"+policedHost), ngrok.WithTrafficPolicy(f.Policy+fmt.Sprintf("\n# HTTP/2: %v\n", http2)))
		if err != nil {
			t.Fatal(err)
		}
		service := &policedService{}
		server := &http.Server{Handler: service}
		go func() { _ = server.Serve(listener) }()
		visitor := s.policyVisitor(t, http2)
		older := s.policyVisitor(t, http2)
		older.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS12
		for _, c := range f.Cases {
			if c.Request == nil || c.Want == nil {
				continue
			}
			who := visitor
			if c.Connection.TLS == "1.2" {
				who = older
			}
			got := service.exchange(t, who, c)
			for _, miss := range got.Misses(c.Want) {
				t.Errorf("%s (HTTP/2: %v): %s", c.Name, http2, miss)
			}
		}
		_ = server.Close()
		_ = listener.Close()
	}
}

// policyVisitor is one that finds the endpoint as if it were at port 443.
func (s *server) policyVisitor(t *testing.T, http2 bool) *http.Client {
	transport := s.transport()
	roots := s.pool()
	addCustomCA(t, roots, filepath.Join(filepath.Dir(s.caFile), "custom-ca.pem"))
	transport.TLSClientConfig.RootCAs = roots
	transport.ForceAttemptHTTP2 = http2
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, fmt.Sprintf("127.0.0.1:%d", s.https))
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func addCustomCA(t *testing.T, roots *x509.CertPool, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatalf("%s: %v", file, err)
	}
}

// policedService answers what a case says, and tells what it was asked.
type policedService struct {
	mu     sync.Mutex
	answer trial.Response
	seen   *trial.Request
}

// ServeHTTP implements http.Handler.
func (p *policedService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = &trial.Request{Method: r.Method, URL: r.Host + r.RequestURI, Headers: allValues(r.Header), Body: string(body)}
	for name, values := range p.answer.Headers {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(max(p.answer.Status, http.StatusOK))
	_, _ = io.WriteString(w, p.answer.Text())
}

// exchange sends a case's request.
func (p *policedService) exchange(t *testing.T, visitor *http.Client, c trial.Case) *trial.Outcome {
	t.Helper()
	p.mu.Lock()
	p.answer, p.seen = c.Response, nil
	p.mu.Unlock()
	// What came of it at the policy cannot be seen from outside, but for an end.
	got := &trial.Outcome{Decision: c.Want.Decision, Code: c.Want.Code}
	request, err := http.NewRequestWithContext(t.Context(), c.Request.Method, c.Request.URL, strings.NewReader(c.Request.Body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("User-Agent", "") // none, unless the case has one
	for name, values := range c.Request.Headers {
		request.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	from, _, _ := net.SplitHostPort(c.Connection.Client)
	if from == "" {
		from = "203.0.113.7"
	}
	request.Header.Set("X-Forwarded-For", from)
	response, err := visitor.Do(request)
	if err != nil {
		if got.Decision = "close"; c.Want.Decision != "close" {
			t.Errorf("%s: %v", c.Name, err)
		}
		return got
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("%s: %v", c.Name, err)
	}
	if c.Want.Decision == "close" {
		got.Decision = "an answer: " + response.Status
	}
	got.Response = &trial.Response{Status: response.StatusCode, Headers: allValues(response.Header), Body: string(body)}
	p.mu.Lock()
	defer p.mu.Unlock()
	got.Request = p.seen
	return got
}

func allValues(h http.Header) map[string]trial.Values {
	all := make(map[string]trial.Values, len(h))
	for name, values := range maps.All(h) {
		all[name] = values
	}
	return all
}

// A policy may have its secrets in a vault, and what people set with flags of old is the
// same engine: a password of six characters among them (S0-39).
func TestPoliciesOfFlags(t *testing.T) {
	s := startServer(t)
	api := s.api()
	if _, err := client.For(api, resource.Vaults()).Create(t.Context(), resource.VaultCreate{Name: "ops"}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.For(api, resource.VaultSecrets()).Create(t.Context(), resource.VaultSecretCreate{Name: "token", Value: "from-the-vault", VaultName: "ops"}); err != nil {
		t.Fatal(err)
	}
	policy := filepath.Join(t.TempDir(), "policy.yml")
	text := "on_http_request:\n- actions:\n  - type: add-headers\n    config: {headers: {x-token: \"${secrets.get('ops', 'token')}\"}}\n"
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("Authorization"), r.Header.Get("X-Token"), r.Header.Get("X-Added"))
	}))
	t.Cleanup(page.Close)
	_, url := s.agent("http", page.Listener.Addr().String(), "-auth=demo:secret", "--request-header-add", "x-added: 1",
		"--response-header-add", "x-back: 2", "--ua-filter-deny", "^badbot", "--traffic-policy-file", policy)
	ask := func(change func(*http.Request)) (*http.Response, string) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		change(request)
		response, err := s.visitor().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		return response, string(body)
	}
	if response, _ := ask(func(*http.Request) {}); response.StatusCode != http.StatusUnauthorized || !strings.Contains(response.Header.Get("WWW-Authenticate"), "Basic") {
		t.Errorf("without a password: %s, %q", response.Status, response.Header.Get("WWW-Authenticate"))
	}
	if response, body := ask(func(r *http.Request) { r.SetBasicAuth("demo", "secret") }); body != "|from-the-vault|1" || response.Header.Get("X-Back") != "2" {
		t.Errorf("with the password: %s %q, %v", response.Status, body, response.Header)
	}
	if response, _ := ask(func(r *http.Request) { r.SetBasicAuth("demo", "secret"); r.Header.Set("User-Agent", "badbot/1") }); response.StatusCode != http.StatusForbidden {
		t.Errorf("a refused User-Agent: %s", response.Status)
	}
}
