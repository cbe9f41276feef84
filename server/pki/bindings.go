package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"time"
)

// Bindings is the CA of those who connect to take endpoints into their clusters: it
// vouches for clients, and for nothing else. Methods may be called concurrently.
type Bindings struct{ authority *authority }

// OpenBindings loads the CA from the directory, or makes it there once. The caller holds
// the lock of the data directory. Errors are those of OpenLocalCA.
func OpenBindings(dir string) (*Bindings, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	template := caTemplate("Postern CA for Kubernetes operators")
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	a, err := openAuthority(filepath.Join(dir, "bindings-ca"), template)
	if err != nil {
		return nil, err
	}
	return &Bindings{a}, nil
}

// Root returns the certificate of the CA.
func (b *Bindings) Root() *x509.Certificate { return b.authority.cert }

// SignOperator makes a client's certificate for whoever has the key, from now on for a
// year. Its common name is the id. It is given in PEM.
func (b *Bindings) SignOperator(id string, key crypto.PublicKey, now time.Time) (certificate string, notBefore, notAfter time.Time, err error) {
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: id},
		NotBefore:             now.Add(-leafBackdate).UTC().Truncate(time.Second),
		NotAfter:              now.AddDate(1, 0, 0).UTC().Truncate(time.Second),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	if template.NotAfter.After(b.authority.cert.NotAfter) {
		template.NotAfter = b.authority.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, b.authority.cert, key, b.authority.key)
	if err != nil {
		return "", notBefore, notAfter, fmt.Errorf("certificate for %s: %w", id, err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), template.NotBefore, template.NotAfter, nil
}
