package config_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/internal/testkit"
)

// What the server is to do travels under the names and in the shapes of ngrok's
// protocol, whichever generation asked for it. S0-39
func TestMiddleware(t *testing.T) {
	dir := t.TempDir()
	policy := filepath.Join(dir, "policy.yml")
	if err := os.WriteFile(policy, []byte("on_http_request: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := parse(t, `
tunnels:
  old: {proto: http, addr: 1, auth: "demo:secret"}
  all:
    proto: http
    addr: 1
    basic_auth: ["a:b:c"]
    ip_restriction: {allow_cidrs: [10.0.0.0/8], deny_cidrs: ["::1"]}
    circuit_breaker: 0.5
    compression: true
    websocket_tcp_converter: true
    oauth: {provider: google, allow_domains: [example.com]}
    oidc: {issuer_url: "https://id", client_id: x, client_secret: y}
    request_header: {add: ["X-A: b"], remove: [X-C]}
    user_agent_filter: {deny: [curl.*]}
    verify_webhook: {provider: github, secret: s}
    traffic_policy: {on_http_request: [{actions: [{type: deny}]}]}
  filed: {proto: http, addr: 1, traffic_policy_file: "`+filepath.ToSlash(policy)+`"}
  plain: {proto: http, addr: 1}
`)
	want := []map[string]string{
		{"BasicAuth": `{"credentials":[{"cleartext_password":"secret","username":"demo"}]}`},
		{
			"BasicAuth":             `{"credentials":[{"cleartext_password":"b:c","username":"a"}]}`,
			"IPRestriction":         `{"allow_cidrs":["10.0.0.0/8"],"deny_cidrs":["::1"]}`,
			"CircuitBreaker":        `{"error_threshold":0.5}`,
			"Compression":           `{}`,
			"WebsocketTCPConverter": `{}`,
			"RequestHeaders":        `{"add":["X-A: b"],"remove":["X-C"]}`,
			"UserAgentFilter":       `{"allow":null,"deny":["curl.*"]}`,
			"WebhookVerification":   `{"provider":"github","secret":"s"}`,
		},
		{"TrafficPolicy": `"on_http_request: []\n"`},
		{},
	}
	for i, e := range c.Endpoints {
		if e.Problem != nil {
			t.Fatal(e.Problem)
		}
		got, err := e.Options(e.URL.Scheme, false)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range want[i] {
			if string(got[name]) != value {
				t.Errorf("%s: %s is %s, want %s", e.Name, name, got[name], value)
			}
		}
		if e.Guards() != (i != 3) || i == 3 && len(got) != 0 {
			t.Errorf("%s: guarded %v, options %v", e.Name, e.Guards(), got)
		}
	}
	all, _ := c.Endpoints[1].Options(postern.HTTPS, false)
	if len(all) != 11 || !strings.Contains(string(all["OAuth"]), `"provider":"google"`) || !strings.Contains(string(all["OIDC"]), `"client_secret":"y"`) {
		t.Errorf("%s", all)
	}
	var text string
	if json.Unmarshal(all["TrafficPolicy"], &text) != nil || !json.Valid([]byte(text)) || !strings.Contains(text, `"deny"`) {
		t.Errorf("the policy that was a mapping: %s", all["TrafficPolicy"])
	}
}

// S1-44, S1-45: paths on the agent's host; a CA's private key in place of its
// certificate is told from one.
func TestAuthorities(t *testing.T) {
	dir := t.TempDir()
	pair, _ := testkit.Certificate(t, "ca")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})
	secret, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := config.Middleware{MutualTLSCAs: file("ca-crt.pem", certificate)}
	for scheme, name := range map[postern.Scheme]string{postern.HTTPS: "MutualTLSCA", postern.TLS: "MutualTLSAtEdge"} {
		options, err := good.Options(scheme, false)
		if err != nil || !strings.HasPrefix(string(options[name]), `{"mutual_tls_ca":"LS0tLS1CRUdJTi`) {
			t.Errorf("%s: %s, %v", scheme, options, err)
		}
	}
	if options, err := good.Options(postern.TLS, true); err != nil || len(options) != 0 {
		t.Errorf("checked by the agent: %v, %v", options, err)
	}
	for name, content := range map[string][]byte{
		"is a private key, expected a CA certificate": key,
		"is not PEM text": []byte("nothing"),
	} {
		bad := config.Middleware{MutualTLSCAs: file("bad.pem", content)}
		if _, err := bad.Options(postern.TLS, false); !postern.HasCode(err, postern.CodeMaterialInvalid) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
	missing := config.Middleware{MutualTLSCAs: filepath.Join(dir, "nosuch")}
	if _, err := missing.Options(postern.TLS, false); !postern.HasCode(err, postern.CodeFileUnreadable) {
		t.Errorf("a file that is not there: %v", err)
	}
}
