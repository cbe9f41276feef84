package policy_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/policy"
)

func endingTLS(t *testing.T, config map[string]any) string {
	t.Helper()
	text, err := json.MarshalIndent(map[string]any{"on_tcp_connect": []any{map[string]any{"actions": []any{
		map[string]any{"type": "terminate-tls", "config": config}}}}}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// A key that does not fit is told of where it stands; one that does is taken.
func TestKeyOfTerminateTLS(t *testing.T) {
	certificate, key := certify.New(t, "one", nil, certify.Names("one.example")).PEM(t)
	_, other := certify.New(t, "other", nil).PEM(t)
	for name, c := range map[string]struct {
		key, says string
	}{
		"fits":         {key, ""},
		"another":      {other, "does not belong to server_certificate"},
		"a secret":     {"${secrets.get('vault', 'key')}", ""},
		"an empty one": {"", "server_private_key is empty"},
	} {
		_, err := policy.Compile(endingTLS(t, map[string]any{"server_certificate": certificate, "server_private_key": c.key}), target(postern.HTTPS, false))
		problems := policy.Problems{}
		switch {
		case c.says == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.says != "" && (!errors.As(err, &problems) || !strings.Contains(problems[0].Message, c.says) || !strings.HasSuffix(problems[0].Where, "server_private_key") || problems[0].Line == 0):
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("%s: the key is in the message", name)
		}
	}
}

// Internal endpoints have no TLS of visitors.
func TestTerminateTLSOfInternalEndpoints(t *testing.T) {
	at := target(postern.TLS, false)
	at.Internal = true
	if _, err := policy.Compile(endingTLS(t, nil), at); err == nil || policy.Coded(err).Code != postern.CodePolicyActionProtocol {
		t.Error(err)
	}
}

// Authorities that the account does not have are told of, each with its place.
func TestAuthoritiesThatAreNotThere(t *testing.T) {
	p, err := policy.Compile(`on_tcp_connect:
- actions:
  - type: terminate-tls
    config:
      mutual_tls_certificate_authorities: [ca_there, ca_gone]
`, target(postern.HTTPS, false))
	if err != nil || !p.EndsTLS() {
		t.Fatal(err)
	}
	lacks := p.Lacks(func(id string) bool { return id == "ca_there" })
	if len(lacks) != 1 || lacks[0].Line != 5 || lacks[0].Column != 54 || !strings.Contains(lacks.Coded().Text(), "ca_gone") {
		t.Errorf("%v", lacks)
	}
}
