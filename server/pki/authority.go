package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

const rootLife = 10 * 365 * 24 * time.Hour

// authority is a root certificate and its key.
type authority struct {
	certFile string
	cert     *x509.Certificate
	key      *ecdsa.PrivateKey
}

// openAuthority loads path.pem and path.key, and makes what is missing: the key, or
// the certificate for a key that was written before a crash.
func openAuthority(path string, template *x509.Certificate) (*authority, error) {
	a := &authority{certFile: path + ".pem"}
	var err error
	if a.key, err = loadKey(path + ".key"); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(a.certFile); err == nil {
			return nil, postern.Errorf(postern.CodeConfigInvalid, "the key of the CA certificate %s is missing: expected %s.key", a.certFile, path)
		}
		a.key, err = makeKey(path + ".key")
	}
	if err != nil {
		return nil, err
	}
	if a.cert, err = loadCertificate(a.certFile); errors.Is(err, fs.ErrNotExist) {
		a.cert, err = makeRoot(a.certFile, template, a.key)
	}
	if err != nil {
		return nil, err
	}
	return a, a.check()
}

func (a *authority) check() error {
	public, ok := a.cert.PublicKey.(*ecdsa.PublicKey)
	switch {
	case !ok || !public.Equal(a.key.Public()):
		return postern.Errorf(postern.CodeConfigInvalid, "the CA certificate %s does not belong to the key beside it", a.certFile)
	case !a.cert.IsCA:
		return postern.Errorf(postern.CodeConfigInvalid, "%s is not the certificate of a CA", a.certFile)
	case time.Now().After(a.cert.NotAfter):
		return postern.Errorf(postern.CodeConfigInvalid, "the CA certificate %s expired on %s; move it and its key away to have a new CA",
			a.certFile, a.cert.NotAfter.Format(time.DateOnly))
	}
	return nil
}

// issue signs a leaf for a key of ours.
func (a *authority) issue(template *x509.Certificate, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
	leaf, err := a.sign(template, key.Public())
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, nil
}

// sign signs a leaf for a key; a leaf does not outlive its root.
func (a *authority) sign(template *x509.Certificate, key crypto.PublicKey) (*x509.Certificate, error) {
	if template.NotAfter.After(a.cert.NotAfter) {
		template.NotAfter = a.cert.NotAfter
	}
	template.BasicConstraintsValid = true
	template.SerialNumber = serial()
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("certificate for %v: %w", template.DNSNames, err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate for %v: %w", template.DNSNames, err)
	}
	return leaf, nil
}

// rootTemplate is the CA that people may trust. It is critically constrained, so
// that its key, if stolen, vouches for nobody else's names (RFC 5280 §4.2.1.10), and
// for servers only.
func rootTemplate(c LocalConfig) *x509.Certificate {
	t := caTemplate(localName + c.Domains[0].String())
	t.PermittedDNSDomainsCritical = true
	for _, domain := range permittedDomains(c) {
		t.PermittedDNSDomains = append(t.PermittedDNSDomains, domain.String())
	}
	t.PermittedIPRanges = []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
	for _, a := range c.Addresses {
		if a = a.Unmap().WithZone(""); a.IsValid() && !a.IsUnspecified() && !a.IsLoopback() {
			t.PermittedIPRanges = append(t.PermittedIPRanges, &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())})
		}
	}
	return t
}

// customTemplate is the CA for names that are not ours. It has no constraints, which
// is why nobody must trust it.
func customTemplate() *x509.Certificate { return caTemplate(customName) }

// How the authorities of a LocalCA are called.
const (
	localName  = "Postern local CA for "
	customName = "Postern untrusted CA for custom names"
)

// MadeHere tells whether a certificate names an authority of a LocalCA, of whichever server,
// as its issuer. It proves nothing: nothing is verified.
func MadeHere(certificate *x509.Certificate) bool {
	issuer := certificate.Issuer.CommonName
	return issuer == customName || strings.HasPrefix(issuer, localName)
}

func caTemplate(name string) *x509.Certificate {
	if len(name) > 64 {
		name = name[:64] // X.520's limit of a common name
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-leafBackdate),
		NotAfter:              now.Add(rootLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
}

// permittedDomains are the names that the root vouches for. localhost costs nothing:
// it is this machine, for everybody.
func permittedDomains(c LocalConfig) []postern.Hostname {
	if slices.Contains(c.Domains, "localhost") {
		return c.Domains
	}
	return append(slices.Clone(c.Domains), "localhost")
}

// serial is 127 random bits (RFC 5280 §4.1.2.2: positive, at most 20 bytes).
func serial() *big.Int {
	var bytes [16]byte
	_, _ = rand.Read(bytes[:]) // never fails
	bytes[0] = bytes[0]&0x7f | 0x40
	return new(big.Int).SetBytes(bytes[:])
}

func makeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of the local CA: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("key of the local CA: %w", err)
	}
	return key, writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func makeRoot(path string, template *x509.Certificate, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the local CA: %w", err)
	}
	if err := writeFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
