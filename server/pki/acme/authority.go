package acme

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/postern-dev/postern"
)

// Authority issues certificates. Directory is one. Errors are a *Failure where the
// authority has said why.
type Authority interface {
	// URL names the authority.
	URL() string
	// Obtain gets a certificate. It may take minutes.
	Obtain(ctx context.Context, r Request) (Issued, error)
	// Renewal says when a certificate of the authority's is to be renewed. An authority
	// that has no opinion gives the zero value.
	Renewal(ctx context.Context, leaf *x509.Certificate) (Window, error)
}

// Request is what a certificate is wanted for.
type Request struct {
	Names   []postern.Hostname // the first is the most important one
	KeyType string             // ECDSA or RSA
	Proof   Proof
	// CSR is for a key that somebody else has, and for exactly the Names; nil: a key is
	// made.
	CSR *x509.CertificateRequest
	// Replaces is the certificate that is to be renewed, if the same authority issued it.
	Replaces *x509.Certificate
}

// The types of private keys.
const (
	ECDSA = "ecdsa" // P-256
	RSA   = "rsa"   // 4096 bits
)

// Issued is a certificate and its key.
type Issued struct {
	Directory string // of the authority that issued it
	Chain     []byte // PEM, the certificate itself first
	Leaf      *x509.Certificate
	Key       crypto.Signer // nil where the request had a CSR
}

// KeyPEM is the key of an issued certificate as PKCS #8.
func (i Issued) KeyPEM() ([]byte, error) {
	encoded, err := x509.MarshalPKCS8PrivateKey(i.Key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), nil
}

// Proof is one way to show an authority that names are ours.
type Proof struct {
	Kind Kind

	// Record is the TXT record of ours that stands for a name's, for DNS01: the one to
	// which the name's _acme-challenge record leads, or that itself. nil: that itself.
	Record func(name postern.Hostname) postern.Hostname
	// Writer writes the records; nil: they are answered out of Challenges.
	Writer Writer
}

// Kind is a type of challenge.
type Kind string

// The kinds (RFC 8555 §8, RFC 8737).
const (
	HTTP01    Kind = "http-01"
	TLSALPN01 Kind = "tls-alpn-01"
	DNS01     Kind = "dns-01"
)

// Writer puts TXT records into a zone that somebody else serves.
type Writer interface {
	// Add adds a record, and returns when the zone's servers can be expected to have it.
	Add(ctx context.Context, name postern.Hostname, text string) error
	// Remove takes it away.
	Remove(ctx context.Context, name postern.Hostname, text string) error
}

// record is the name of the TXT record for a name.
func (p Proof) record(name postern.Hostname) postern.Hostname {
	if p.Record != nil {
		return p.Record(name)
	}
	if name.Wildcard() {
		name = name.Parent()
	}
	return "_acme-challenge." + name
}

// Writers writes records in several ways, all of them.
type Writers []Writer

// Add implements Writer.
func (w Writers) Add(ctx context.Context, name postern.Hostname, text string) error {
	for _, one := range w {
		if err := one.Add(ctx, name, text); err != nil {
			return err
		}
	}
	return nil
}

// Remove implements Writer.
func (w Writers) Remove(ctx context.Context, name postern.Hostname, text string) error {
	var err error
	for _, one := range w {
		err = errors.Join(err, one.Remove(ctx, name, text))
	}
	return err
}
