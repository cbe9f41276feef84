package pki_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"testing"

	"github.com/postern-dev/postern/internal/testkit/certify"
)

func readKey(t testing.TB, path string) *ecdsa.PrivateKey {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(*ecdsa.PrivateKey)
}

// forge makes a certificate for the host with a CA's key, as a thief would.
func forge(t testing.TB, ca *x509.Certificate, key *ecdsa.PrivateKey, host string) *x509.Certificate {
	t.Helper()
	return certify.New(t, host, &certify.Made{Certificate: ca, Key: key}, certify.For(x509.ExtKeyUsageServerAuth)).Certificate
}
