package config_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
		got, err := e.Options()
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
	all, _ := c.Endpoints[1].Options()
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
	ca, mtls := file("ca-crt.pem", certificate), func(cas, mode string) config.Endpoint {
		return config.Endpoint{Middleware: config.Middleware{MutualTLSCAs: cas, MutualTLSMode: mode}}
	}
	const id = "ca_2abcdefghijklmnopqrstuvwxyz"
	for what, c := range map[string]struct {
		endpoint config.Endpoint
		want     postern.MutualTLS
	}{
		"a file":              {mtls(ca, ""), postern.MutualTLS{AuthoritiesPEM: string(certificate)}},
		"PEM, ngrok's mode":   {mtls(string(certificate), "require-any"), postern.MutualTLS{Mode: postern.ClientCertificateRequired, AuthoritiesPEM: string(certificate)}},
		"uploaded ones":       {mtls(" "+id+", "+id+"x ", ""), postern.MutualTLS{AuthorityIDs: id + "," + id + "x"}},
		"without authorities": {mtls("", "request"), postern.MutualTLS{Mode: "request"}},
		"nothing":             {config.Endpoint{}, postern.MutualTLS{}},
	} {
		if got, _, err := c.endpoint.MutualTLS(time.Now()); err != nil || got != c.want || c.endpoint.Guards() != got.Asks() {
			t.Errorf("%s: %+v, %v", what, got, err)
		}
	}
	with := func(e config.Endpoint, list string) config.Endpoint { e.Revocations = list; return e }
	for says, bad := range map[string]config.Endpoint{
		"is a private key, expected a CA certificate": mtls(file("ca-key.pem", key), ""),
		"is not PEM text":              mtls(file("bad.pem", []byte("nothing")), ""),
		"empty.pem) is empty":          mtls(file("empty.pem", nil), ""),
		"is not one of request":        mtls(ca, "always"),
		"mutual_tls_cas is missing":    mtls("", "require-and-verify"),
		"expected a revocation list":   with(mtls(ca, ""), file("crl.pem", certificate)),
		"are uploaded to the server":   with(mtls(id, ""), "crl.pem"),
		"the revocation list cannot":   with(mtls(ca, ""), filepath.Join(dir, "nosuch")),
		"the CA certificate cannot be": mtls(filepath.Join(dir, "nosuch"), ""),
	} {
		if _, _, err := bad.MutualTLS(time.Now()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}
