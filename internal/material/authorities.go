package material

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"github.com/postern-dev/postern"
)

// MostAuthorities bounds the authorities of one text.
const MostAuthorities = 100

// Authorities are those who vouch for the other side of a connection.
type Authorities struct {
	// Certificates are theirs, each once, in the order given. There is at least one.
	Certificates []*x509.Certificate
	// Revocations are the revocation lists that stood among them.
	Revocations []*x509.RevocationList
	Warnings    []Warning
}

// ReadAuthorities reads a bundle of certificates of authorities, and revocation lists
// among them.
//
// A certificate of the first version, which cannot say that it is an authority's, is one
// all the same: whoever gives it here says so. One of version 3 that says it is none, or
// nothing, vouches for itself alone: a client that shows that very certificate is let in.
// Both are told of.
func ReadAuthorities(t Text, now time.Time) (*Authorities, error) {
	blocks, err := t.blocks()
	if err != nil {
		return nil, err
	}
	if err := t.authoritiesOnly(blocks); err != nil {
		return nil, err
	}
	a := new(Authorities)
	for _, b := range blocks {
		switch {
		case b.isRevocationList():
			list, err := t.revocationList(b)
			if err != nil {
				return nil, err
			}
			a.Revocations = append(a.Revocations, list)
		case b.isCertificate():
			c, err := t.certificate(b)
			if err != nil {
				return nil, err
			}
			a.add(c)
		}
	}
	switch {
	case len(a.Certificates) == 0:
		return nil, t.fault("has revocation lists and no CA certificate; both belong here, the certificates first")
	case len(a.Certificates) > MostAuthorities:
		return nil, t.fault("has %d CA certificates, at most %d are allowed; give those whose clients shall be let in, not all that a system trusts", len(a.Certificates), MostAuthorities)
	}
	if err := t.checkLists(a.Revocations, a.Certificates); err != nil {
		return nil, err
	}
	for _, c := range a.Certificates {
		a.Warnings = append(a.Warnings, authorityDefects(c, now)...)
	}
	a.Warnings = append(a.Warnings, staleLists(a.Revocations, now)...)
	return a, nil
}

// authoritiesOnly refuses what is no authority, naming the likely mistake.
func (t Text) authoritiesOnly(blocks []block) error {
	certificates := slices.ContainsFunc(blocks, block.isCertificate)
	for _, b := range blocks {
		switch {
		case b.isKey() && certificates:
			return t.fault("has a private key%s beside its certificates; take it out: a CA's key stays where certificates are made", b.where())
		case b.isKey():
			return t.fault("is a private key, expected a CA certificate; a CA's key stays where certificates are made")
		case b.isCertificate(), b.isRevocationList(), b.kind == "EC PARAMETERS", b.kind == "DH PARAMETERS":
		default:
			return t.fault("has %s%s, expected a CA certificate", kindName(b.kind), b.where())
		}
	}
	return nil
}

// kindName is what a kind of block is to people.
func kindName(kind string) string {
	switch kind {
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return "a certificate signing request (which one sends to a CA, and is not what comes back)"
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return "a public key"
	case "PKCS7":
		return `a PKCS #7 file ("openssl pkcs7 -print_certs -in FILE" makes PEM certificates of it)`
	case "PGP PUBLIC KEY BLOCK", "PGP PRIVATE KEY BLOCK":
		return "an OpenPGP key"
	case "OPENSSH PRIVATE KEY":
		return "a private key for SSH"
	case "X509 CRL":
		return "a revocation list"
	}
	return fmt.Sprintf("a PEM block of the kind %q", clip(kind))
}

// add keeps each certificate once.
func (a *Authorities) add(c *x509.Certificate) {
	if !slices.ContainsFunc(a.Certificates, c.Equal) {
		a.Certificates = append(a.Certificates, c)
	}
}

// authorityDefects tells what speaks against an authority.
func authorityDefects(c *x509.Certificate, now time.Time) []Warning {
	all := aged(c, now, "no client that it has signed is let in; "+adviceCA)
	switch {
	case c.Version < 3:
		all = append(all, Warning{Version1, fmt.Sprintf("the CA certificate %s is of version %d and has no basic constraints: it cannot say that it is an authority's, and some clients refuse it", Name(c), c.Version), adviceCA})
	case !c.BasicConstraintsValid || !c.IsCA:
		all = append(all, Warning{NotAuthority, fmt.Sprintf("the certificate %s is not that of an authority (its basic constraints do not say CA:TRUE): it lets in whoever has its own key, and nobody else", Name(c)), adviceCA})
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		all = append(all, Warning{WrongUsage, fmt.Sprintf("the CA certificate %s may not sign certificates (its key usage has no keyCertSign): no client that it has signed is let in", Name(c)), adviceCA})
	}
	if !usable(c, x509.ExtKeyUsageClientAuth) {
		all = append(all, Warning{WrongUsage, fmt.Sprintf("the certificate %s is not for clients (its extended key usage has no clientAuth): nobody whom it vouches for is let in", Name(c)), adviceCA})
	}
	return append(all, weak(c, adviceCA)...)
}

// usable tells whether a certificate's extended key usage allows use.
func usable(c *x509.Certificate, use x509.ExtKeyUsage) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 || slices.Contains(c.ExtKeyUsage, use) || slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// PEM is the certificates, and then the revocation lists, and nothing else of what was
// given.
func (a *Authorities) PEM() []byte {
	var text bytes.Buffer
	for _, c := range a.Certificates {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes everything
	}
	text.Write(ListsPEM(a.Revocations))
	return text.Bytes()
}

// Pool is the certificates as crypto/x509 takes them.
func (a *Authorities) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	for _, c := range a.Certificates {
		pool.AddCert(c)
	}
	return pool
}

// Alive refuses authorities all of whose certificates are expired, or not valid yet: they
// would keep everybody out.
func (a *Authorities) Alive(name string, now time.Time) error {
	for _, c := range a.Certificates {
		if !now.Before(c.NotBefore) && !now.After(c.NotAfter) {
			return nil
		}
	}
	last := slices.MaxFunc(a.Certificates, func(x, y *x509.Certificate) int { return x.NotAfter.Compare(y.NotAfter) })
	return postern.Errorf(postern.CodeMaterialInvalid, "%s: %s", name, aged(last, now, "")[0].Text)
}
