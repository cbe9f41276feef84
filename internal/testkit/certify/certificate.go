// Package certify makes certificates, keys and revocation lists for tests.
package certify

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// Made is a certificate and its key. It is not changed once it is made.
type Made struct {
	*x509.Certificate
	Key crypto.Signer
}

// Edit changes a certificate before it is signed.
type Edit = func(*x509.Certificate)

// New makes a certificate with a P-256 key of its own for a host name, an IP address or
// somebody; see Of.
func New(t testing.TB, name string, by *Made, edits ...Edit) *Made {
	t.Helper()
	return Of(t, P256(t), name, by, edits...)
}

// Of makes a certificate for a key. by has signed it, the key itself where by is nil. It is
// good from an hour ago and for twelve more, and says nothing of what it is for, unless edits
// say otherwise.
func Of(t testing.TB, key crypto.Signer, name string, by *Made, edits ...Edit) *Made {
	t.Helper()
	return &Made{sign(t, key.Public(), name, by, key, edits), key}
}

// Sign makes a certificate as Of does for a public key, that by has signed.
func Sign(t testing.TB, public crypto.PublicKey, name string, by *Made, edits ...Edit) *x509.Certificate {
	t.Helper()
	return sign(t, public, name, by, nil, edits)
}

// sign has self sign where by is nil.
func sign(t testing.TB, public crypto.PublicKey, name string, by *Made, self crypto.Signer, edits []Edit) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	Names(name)(template)
	for _, edit := range edits {
		edit(template)
	}
	parent := template
	if by != nil {
		parent, self = by.Certificate, by.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, self)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// Authority is an Edit: the certificate is that of an authority, and names no host.
func Authority(c *x509.Certificate) {
	c.IsCA, c.KeyUsage, c.DNSNames, c.IPAddresses = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil, nil
}

// For is what a certificate is for.
func For(uses ...x509.ExtKeyUsage) Edit {
	return func(c *x509.Certificate) { c.ExtKeyUsage = uses }
}

// Serial is the certificate's serial number.
func Serial(n int64) Edit {
	return func(c *x509.Certificate) { c.SerialNumber = big.NewInt(n) }
}

// Valid is the time of which the certificate is good.
func Valid(from, to time.Time) Edit {
	return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = from, to }
}

// Names are the host names and IP addresses that the certificate is for, and none others.
func Names(names ...string) Edit {
	return func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = nil, nil
		for _, name := range names {
			if ip := net.ParseIP(name); ip != nil {
				c.IPAddresses = append(c.IPAddresses, ip)
			} else if name != "" {
				c.DNSNames = append(c.DNSNames, name)
			}
		}
	}
}

// TLS is the certificate as crypto/tls takes it, with those that lead from it to an
// authority.
func (m *Made) TLS(above ...*Made) tls.Certificate {
	pair := tls.Certificate{Certificate: [][]byte{m.Raw}, PrivateKey: m.Key, Leaf: m.Certificate}
	for _, a := range above {
		pair.Certificate = append(pair.Certificate, a.Raw)
	}
	return pair
}

// Pool trusts the certificate and no other.
func (m *Made) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(m.Certificate)
	return pool
}

// Request makes a signing request for a key, in DER.
func Request(t testing.TB, key crypto.Signer, template x509.CertificateRequest) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Revoke makes a revocation list in DER, for certificates with serial numbers. reason is
// that of RFC 5280 §5.3.1.
func (m *Made) Revoke(t testing.TB, at, until time.Time, reason int, serials ...*big.Int) []byte {
	t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: at.Add(-time.Hour), NextUpdate: until}
	for _, serial := range serials {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: at.Add(-time.Minute), ReasonCode: reason})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, m.Certificate, m.Key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
