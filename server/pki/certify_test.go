package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"github.com/postern-dev/postern"
)

// A certificate for somebody's key is like one of the CA's own: for that name and key, as
// long, by the CA that may be trusted for our names and by the other for all else.
func TestCertify(t *testing.T) {
	ca := open(t, config(t.TempDir()))
	key, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, trusted := range map[postern.Hostname]bool{"api.site.example.com": true, "*.site.example.com": true, "api.customer.org": false} {
		chain, err := ca.Certify(name, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		block, rest := pem.Decode([]byte(chain))
		leaf, err := x509.ParseCertificate(block.Bytes)
		if err != nil || len(rest) > 0 {
			t.Fatalf("%s: %v, %q", name, err, rest)
		}
		if len(leaf.DNSNames) != 1 || leaf.DNSNames[0] != string(name) || !key.PublicKey.Equal(leaf.PublicKey) || leaf.IsCA {
			t.Errorf("%s: a certificate for %v", name, leaf.DNSNames)
		}
		if own := ask(t, ca, "example.com").Leaf; leaf.NotAfter.Sub(leaf.NotBefore) != own.NotAfter.Sub(own.NotBefore) {
			t.Errorf("%s: lives %v", name, leaf.NotAfter.Sub(leaf.NotBefore))
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: trusting(ca)}); (err == nil) != trusted {
			t.Errorf("%s: %v, trusted: %v", name, err, trusted)
		}
	}
}
