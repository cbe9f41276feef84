package edge_test

import (
	"context"
	"crypto/tls"
	"testing"

	"github.com/postern-dev/postern"
)

// proofs has one proof for every name.
type proofs struct{}

func (proofs) HTTP(_ context.Context, host postern.Hostname, token string) (string, bool) {
	if token != "token" {
		return "", false
	}
	return "proof of " + host.String(), true
}

func (proofs) Certificate(context.Context, postern.Hostname) *tls.Certificate { return nil }

// An authority that looks for a proof in the clear finds it at every name, that of private
// gateways included; what it does not ask for reaches the connectors' handler as ever.
func TestProofsInTheClear(t *testing.T) {
	for name, with := range map[string]func(*config){"relay": func(*config) {}, "standard": func(c *config) { c.NetHTTPOnly = true }} {
		t.Run(name, func(t *testing.T) {
			s := start(t, withConnectors, with, func(c *config) { c.Challenges = proofs{} })
			for host, want := range map[string]string{
				"gateway." + domain: "proof of gateway." + domain,
				"app." + domain:     "proof of app." + domain,
			} {
				response := s.raw("GET /.well-known/acme-challenge/token HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
				if text := body(t, response); response.StatusCode != 200 || text != want {
					t.Errorf("%s: %s, %q", host, response.Status, text)
				}
			}
			response := s.raw("GET /.well-known/acme-challenge/another HTTP/1.1\r\nHost: gateway." + domain + "\r\n\r\n")
			if text := body(t, response); text != "from 127.0.0.1 plain true" {
				t.Errorf("another token: %s, %q", response.Status, text)
			}
		})
	}
}
