package server_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/geofile"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

// Policies ask other servers, and only those that the operator lets them.
func TestHTTPRequest(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "user ", r.Header.Get("X-User"))
	}))
	t.Cleanup(other.Close)
	policy := `{"on_http_request": [{"actions": [
		{"type": "http-request", "config": {"url": "` + other.URL + `", "headers": {"x-user": "${req.headers['x-user'][0]}"}}},
		{"type": "custom-response", "config": {"body": "${actions.ngrok.http_request.res.body}${actions.ngrok.http_request.error.code}"}}]}]}`
	for want, allow := range map[string][]netip.Prefix{"user ada": {netip.MustParsePrefix("127.0.0.0/8")}, string(postern.CodeOutcallRefused): nil} {
		c := testConfig(t)
		c.Outcalls.Allow = allow
		p := obeying(t, c, hello)
		url := p.bind("asking", policy)
		for _, version := range []int{1, 2} {
			if r, body := p.visit(version, url, http.Header{"X-User": {"ada"}}); r.StatusCode != http.StatusOK || body != want {
				t.Errorf("HTTP/%d: %d %s, want %s", version, r.StatusCode, body, want)
			}
		}
	}
}

// What does not answer as a policy wants is asked again, four times at most, and rules
// find every attempt.
func TestHTTPRequestIsRetried(t *testing.T) {
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); r.URL.Path == "/never" || n < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprint(w, "done")
	}))
	t.Cleanup(other.Close)
	c := testConfig(t)
	c.Outcalls.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	p := obeying(t, c, hello)
	url := p.bind("retrying", `
on_http_request:
- actions:
  - type: http-request
    config:
      url: "`+other.URL+`/${req.headers['x-path'][0]}"
      retry_condition: "last_attempt.res.status_code >= 500 && attempts < 9 && last_attempt.req.method == req.method"
  - type: custom-response
    config: {body: "${actions.ngrok.http_request.attempts.map(a, a.response_status_code)} ${actions.ngrok.http_request.attempts[0].resolved_ip} ${actions.ngrok.http_request.res.resolved_ip} ${actions.ngrok.http_request.res.body}"}
`)
	for path, want := range map[string]string{
		"works": "[503,503,200] 127.0.0.1 127.0.0.1 done",
		"never": "[503,503,503,503] 127.0.0.1 127.0.0.1 done",
	} {
		for _, version := range []int{1, 2} {
			asked.Store(0)
			if r, body := p.visit(version, url, http.Header{"X-Path": {path}}); r.StatusCode != http.StatusOK || body != want {
				t.Errorf("%s by HTTP/%d: %d %s, want %s", path, version, r.StatusCode, body, want)
			}
		}
	}
}

// A policy asks an internal endpoint of its account, which an agent serves, with no
// network in between; one of another account is none.
func TestHTTPRequestToAnInternalEndpoint(t *testing.T) {
	p := obeying(t, testConfig(t), func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s%s for %s", r.Host, r.URL.Path, r.Header.Get("X-Forwarded-For"))
	})
	asked, err := postern.ParseURLRequest("https://auth.internal", postern.HTTPS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.client.Bind(t.Context(), link.BindRequest{URL: asked}); err != nil {
		t.Fatal(err)
	}
	asking := func(name, to string) string {
		return p.bind(name, `{"on_http_request": [{"actions": [
			{"type": "http-request", "config": {"url": "`+to+`"}},
			{"type": "custom-response", "config": {"body": "${actions.ngrok.http_request.res.body}${actions.ngrok.http_request.error.code}"}}]}]}`)
	}
	for url, want := range map[string]string{
		asking("known", "https://auth.internal/who"): "auth.internal/who for 127.0.0.1",
		asking("none", "https://other.internal/"):    string(postern.CodeInternalOffline),
	} {
		for _, version := range []int{1, 2} {
			if r, body := p.visit(version, url, nil); r.StatusCode != http.StatusOK || body != want {
				t.Errorf("HTTP/%d: %d %s, want %s", version, r.StatusCode, body, want)
			}
		}
	}
}

// Tokens are checked with the keys that their issuer publishes.
func TestJWTValidation(t *testing.T) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": %q}]}`, base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(issuer.Close)
	c := testConfig(t)
	c.Outcalls.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	p := obeying(t, c, hello)
	url := p.bind("trusting", `
on_http_request:
- actions:
  - type: jwt-validation
    config:
      issuer: {allow_list: [{value: "https://issuer.example"}]}
      http: {tokens: [{type: jwt, method: header, name: Authorization, prefix: "Bearer "}]}
      jws: {allowed_algorithms: [EdDSA], keys: {sources: {additional_jkus: ["`+issuer.URL+`"]}}}
`)
	token := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"iss": "https://issuer.example", "exp": time.Now().Add(time.Hour).Unix()})
	token.Header["kid"] = "one"
	text, err := token.SignedString(private)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []int{1, 2} {
		r, body := p.visit(version, url, http.Header{"Authorization": {"Bearer " + text}})
		p.answered("with a token", r, body, http.StatusOK, "")
		r, body = p.visit(version, url, http.Header{"Authorization": {"Bearer " + text[:len(text)-8] + "AAAAAAAA"}})
		p.answered("with another signature", r, body, http.StatusUnauthorized, postern.CodePolicyTokenRefused.Entry().Wire)
		r, body = p.visit(version, url, nil)
		p.answered("without a token", r, body, http.StatusUnauthorized, postern.CodePolicyTokenRefused.Entry().Wire)
	}
}

// The operator's databases tell where visitors are, and are read again when they are
// replaced.
func TestPlaces(t *testing.T) {
	file := filepath.Join(t.TempDir(), "city.mmdb")
	put := func(city string) {
		t.Helper()
		content := geofile.Make(t, "GeoLite2-City", map[string]geofile.Record{"127.0.0.0/8": geofile.City(city, "Germany", "DE", 1, 2)})
		if err := os.WriteFile(file+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
	put("Berlin")
	c := testConfig(t)
	c.Geo = server.Geo{File: file}
	p := obeying(t, c, hello)
	url := p.bind("where", `{"on_http_request": [{"actions": [{"type": "custom-response", "config": {"body": "${conn.geo.city} ${conn.client_ip.geo.location.country_code}"}}]}]}`)
	for _, version := range []int{1, 2} {
		if _, body := p.visit(version, url, nil); body != "Berlin DE" {
			t.Errorf("HTTP/%d: %s", version, body)
		}
	}
	put("Hamburg an der Elbe")
	p.eventually("the new file counts", func() error {
		if _, body := p.visit(2, url, nil); body != "Hamburg an der Elbe DE" {
			return fmt.Errorf("%s", body)
		}
		return nil
	})
	c = testConfig(t)
	c.Geo = server.Geo{ASFile: filepath.Join(t.TempDir(), "missing")}
	if s, err := server.New(c, server.Options{}); err == nil {
		t.Error("a server starts without a file that it is told to use")
		_ = s.Close()
	}
}

// A dry run at a running server finds the account's vaults and the operator's databases,
// asks nobody unless it is told to, and shows no secret.
func TestPolicyDryRunAtAServer(t *testing.T) {
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(other.Close)
	c := testConfig(t)
	c.Outcalls.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	c.Geo.File = filepath.Join(t.TempDir(), "cities.mmdb")
	if err := os.WriteFile(c.Geo.File, geofile.Make(t, "GeoLite2-City", map[string]geofile.Record{"192.0.2.0/24": geofile.City("Berlin", "Germany", "DE", 52.5, 13.4)}), 0o600); err != nil {
		t.Fatal(err)
	}
	n := start(t, c, server.Options{})
	keys := n.Keys()
	owner := service.Caller{Account: postern.AccountID(keys.AccountID), Role: postern.Owner, Source: service.SourceServer}
	if _, err := n.Service().Vaults().Create(t.Context(), owner, resource.VaultCreate{Name: "ops"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Service().VaultSecrets().Create(t.Context(), owner, resource.VaultSecretCreate{Name: "token", Value: "from-the-vault", VaultName: "ops"}); err != nil {
		t.Fatal(err)
	}
	of := resource.PolicyDryRunOf{
		TrafficPolicy: `on_http_request:
- expressions: ["conn.geo.city == 'Berlin'", "req.headers['x-token'][0] == secrets.get('ops', 'token')"]
  actions:
  - type: http-request
    config: {url: "` + other.URL + `/check"}
  - type: custom-response
    config: {status_code: 218, body: "${secrets.get('ops', 'token')}"}
`,
		Requests: []resource.PolicyDryRunRequest{{URL: "https://app.example.com/", ClientIP: "192.0.2.7", Headers: map[string][]string{"x-token": {"from-the-vault"}}}},
	}
	for _, made := range []bool{false, true} {
		of.MakeCalls = made
		text := n.dryRun(keys.APIKey, of)
		if !strings.Contains(text, `"status_code":218`) || !strings.Contains(text, `"calls":["GET a URL that is not shown`) || strings.Contains(text, "from-the-vault") {
			t.Errorf("%s", text)
		}
		if got := asked.Load(); got == 1 != made {
			t.Errorf("with make_calls %v the other server was asked %d times", made, got)
		}
	}
}

// dryRun gives the answer of the API as it is.
func (n *node) dryRun(key string, of resource.PolicyDryRunOf) string {
	n.t.Helper()
	body, err := json.Marshal(of)
	if err != nil {
		n.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(n.t.Context(), http.MethodPost, fmt.Sprintf("https://api.%s:%d/traffic_policies/dry_run", domain, n.HTTPSAddr().Port()), bytes.NewReader(body))
	if err != nil {
		n.t.Fatal(err)
	}
	r.Header = http.Header{"Authorization": {"Bearer " + key}, "Ngrok-Version": {"2"}, "Content-Type": {"application/json"}}
	response, err := n.Visitor().Do(r)
	if err != nil {
		n.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(text)
}
