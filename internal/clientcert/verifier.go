package clientcert

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verifier holds those who may vouch for clients. It may be used concurrently.
type Verifier struct {
	authorities []*x509.Certificate
	pool        *x509.CertPool
	revoked     map[issuer]map[string]time.Time // by serial number: since when
}

// issuer is who signs: certificates of one name and key are one issuer.
type issuer struct{ subject, key string }

func issuerOf(c *x509.Certificate) issuer {
	return issuer{string(c.RawSubject), string(c.RawSubjectPublicKeyInfo)}
}

// New makes a Verifier. A list counts for the authorities that have signed it; that each
// has one the caller has checked.
func New(authorities []*x509.Certificate, lists []*x509.RevocationList) *Verifier {
	v := &Verifier{authorities: authorities, pool: x509.NewCertPool(), revoked: make(map[issuer]map[string]time.Time)}
	for _, a := range authorities {
		v.pool.AddCert(a)
		for _, list := range lists {
			if signed(a, list) {
				v.revoke(issuerOf(a), list)
			}
		}
	}
	return v
}

func signed(a *x509.Certificate, list *x509.RevocationList) bool {
	return string(a.RawSubject) == string(list.RawIssuer) &&
		a.CheckSignature(list.SignatureAlgorithm, list.RawTBSRevocationList, list.Signature) == nil
}

func (v *Verifier) revoke(by issuer, list *x509.RevocationList) {
	serials := v.revoked[by]
	if serials == nil {
		serials = make(map[string]time.Time, len(list.RevokedCertificateEntries))
		v.revoked[by] = serials
	}
	const removed = 8 // removeFromCRL (RFC 5280 §5.3.1): no longer on hold
	for _, entry := range list.RevokedCertificateEntries {
		if entry.ReasonCode != removed {
			serials[string(entry.SerialNumber.Bytes())] = entry.RevocationTime
		}
	}
}

// Pool is the authorities, for tls.Config.ClientCAs: clients are told whose certificates
// are welcome.
func (v *Verifier) Pool() *x509.CertPool { return v.pool }

// Verify tells whether somebody vouches for the first certificate of those that a client
// has sent, the others being on the way to an authority. The error is for logs: it names
// the certificate, and says why.
func (v *Verifier) Verify(sent []*x509.Certificate, now time.Time) error {
	if len(sent) == 0 {
		return errors.New("the client has shown no certificate")
	}
	leaf := sent[0]
	chains, err := v.chains(leaf, sent[1:], now)
	if err != nil {
		return fmt.Errorf("the client's certificate %s is not accepted: %s", Subject(leaf), strings.TrimPrefix(err.Error(), "x509: "))
	}
	var refusal error
	for _, chain := range chains {
		refusal = v.notRevoked(chain)
		if refusal == nil {
			return nil
		}
	}
	return refusal
}

// chains gives the ways from leaf to an authority; without an error there is one.
func (v *Verifier) chains(leaf *x509.Certificate, between []*x509.Certificate, now time.Time) ([][]*x509.Certificate, error) {
	if slices.ContainsFunc(v.authorities, leaf.Equal) {
		return [][]*x509.Certificate{{leaf}}, usable(leaf, now)
	}
	intermediates := x509.NewCertPool()
	for _, c := range between {
		intermediates.AddCert(c)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{
		Roots: v.pool, Intermediates: intermediates, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err == nil {
		return chains, nil
	}
	for _, a := range v.authorities {
		if a.Version < 3 && vouches(a, leaf) {
			if err := errors.Join(usable(leaf, now), current(a, now)); err != nil {
				return nil, err
			}
			return [][]*x509.Certificate{{leaf, a}}, nil
		}
	}
	return nil, err
}

// vouches tells whether the authority has signed the certificate.
func vouches(a, leaf *x509.Certificate) bool {
	return string(a.RawSubject) == string(leaf.RawIssuer) &&
		a.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil
}

// usable says why a certificate can be no client's now.
func usable(leaf *x509.Certificate, now time.Time) error {
	anything := len(leaf.ExtKeyUsage)+len(leaf.UnknownExtKeyUsage) == 0
	switch {
	case len(leaf.UnhandledCriticalExtensions) > 0:
		return x509.UnhandledCriticalExtension{}
	case !anything && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageAny):
		return errors.New("it is not for clients (its extended key usage has no clientAuth)")
	}
	return current(leaf, now)
}

func current(c *x509.Certificate, now time.Time) error {
	switch {
	case now.Before(c.NotBefore):
		return fmt.Errorf("%s is not valid before %s", Subject(c), c.NotBefore.Format(time.RFC3339))
	case now.After(c.NotAfter):
		return fmt.Errorf("%s expired on %s", Subject(c), c.NotAfter.Format(time.RFC3339))
	}
	return nil
}

// notRevoked looks for everything on the way in its issuer's lists. An authority that is
// at its end is given by hand and taken away by hand.
func (v *Verifier) notRevoked(chain []*x509.Certificate) error {
	for i, c := range chain {
		signer := c // of one that vouches for itself
		if i+1 < len(chain) {
			signer = chain[i+1]
		} else if i > 0 {
			break
		}
		if since, is := v.revoked[issuerOf(signer)][string(c.SerialNumber.Bytes())]; is {
			return fmt.Errorf("the certificate %s (serial number %s) was revoked at %s", Subject(c), Serial(c), since.UTC().Format(time.RFC3339))
		}
	}
	return nil
}
