package server_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/pebble"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server"
)

// An agent that ends TLS gets an authority's certificate for a key that it keeps: at first
// the server's CA signs, then a real authority has, over HTTP or in a handshake on the very
// endpoint. Asked again, the server gives the same.
func TestCertificatesForAgentsKeys(t *testing.T) {
	for name, change := range map[string]func(*server.Config){
		"HTTP":      func(*server.Config) {},
		"handshake": func(c *server.Config) { c.Listen.HTTP = "" },
	} {
		t.Run(name, func(t *testing.T) {
			n := startIssuing(t, pebble.Config{}, change)
			n.shows("connect." + domain)
			client := n.agent()
			bound, err := client.Bind(t.Context(), link.BindRequest{URL: postern.URLRequest{Scheme: postern.TLS, Host: "private." + domain}})
			if err != nil {
				t.Fatal(err)
			}
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			certify := func() (*x509.Certificate, link.Certified) {
				t.Helper()
				csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"private." + domain}}, key)
				if err != nil {
					t.Fatal(err)
				}
				got, err := client.Certify(t.Context(), link.CertificateRequest{Endpoint: bound.ID, CSR: csr})
				if err != nil {
					t.Fatal(err)
				}
				block, _ := pem.Decode([]byte(got.Chain))
				leaf, err := x509.ParseCertificate(block.Bytes)
				if err != nil || !key.PublicKey.Equal(leaf.PublicKey) || leaf.VerifyHostname("private."+domain) != nil {
					t.Fatalf("a certificate for %v, %v", leaf.DNSNames, err)
				}
				return leaf, got
			}
			first, got := certify()
			if first.Issuer.CommonName != "Postern local CA for "+domain || got.After <= 0 || got.After > time.Minute || got.ACME == nil || got.ACME.URL != n.authority.Directory || got.ACME.Roots == "" {
				t.Errorf("at first by %s, again after %v, offered %+v", first.Issuer, got.After, got.ACME)
			}
			var leaf *x509.Certificate
			awaits(t, "the authority has certified the key", func() error {
				leaf, got = certify()
				chain := x509.NewCertPool()
				chain.AppendCertsFromPEM([]byte(got.Chain))
				if _, err := leaf.Verify(x509.VerifyOptions{Roots: n.authority.Roots, Intermediates: chain, DNSName: "private." + domain}); err != nil {
					return fmt.Errorf("by %s: %w", leaf.Issuer, err)
				}
				return nil
			})
			if again, _ := certify(); !again.Equal(leaf) || got.After < 24*time.Hour {
				t.Errorf("asked again after %v, the server has another certificate: %v", got.After, !again.Equal(leaf))
			}
		})
	}
}
