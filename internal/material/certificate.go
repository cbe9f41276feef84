package material

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// Of RSA keys, in bits: shorter ones are told of; longer ones, which take too long to
// verify with, are refused, as crypto/tls does.
const leastRSA, mostRSA = 2048, 8192

// certificate reads the one in a block.
func (t Text) certificate(b block) (*x509.Certificate, error) {
	der := b.der
	if b.kind == "TRUSTED CERTIFICATE" { // openssl's own: the certificate, and what to trust it for
		var first asn1.RawValue
		if _, err := asn1.Unmarshal(der, &first); err == nil {
			der = first.FullBytes
		}
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, t.fault("has a certificate that cannot be read%s: %s", b.where(), clip(strings.TrimPrefix(err.Error(), "x509: ")))
	}
	if key, is := c.PublicKey.(*rsa.PublicKey); is && key.N.BitLen() > mostRSA {
		return nil, t.fault("has the certificate %s with an RSA key of %d bits; at most %d are allowed", Name(c), key.N.BitLen(), mostRSA)
	}
	return c, nil
}

// Name is how messages name a certificate: by its common name, else its first host
// name, else its whole subject; quoted, and never longer than a line.
func Name(c *x509.Certificate) string {
	text := c.Subject.CommonName
	if text == "" && len(c.DNSNames) > 0 {
		text = c.DNSNames[0]
	}
	if text == "" {
		text = c.Subject.String()
	}
	return fmt.Sprintf("%q", clip(strings.ToValidUTF8(text, "\uFFFD")))
}

func names(all []*x509.Certificate) string {
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = Name(c)
	}
	return strings.Join(texts, ", ")
}

// selfSigned tells whether a certificate's own key has signed it.
func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && signedBy(c, c)
}

// signedBy tells whether parent's key has signed child, whatever else they say of
// themselves.
func signedBy(child, parent *x509.Certificate) bool {
	if !bytes.Equal(child.RawIssuer, parent.RawSubject) {
		return false
	}
	err := parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature)
	// Old algorithms cannot be verified any more; the names must do.
	_, insecure := errors.AsType[x509.InsecureAlgorithmError](err)
	return err == nil || insecure
}

// keyName says what a public key is.
func keyName(public crypto.PublicKey) string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA, %d bits", public.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA, " + public.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "of an unknown kind"
}

// checkPublicKey says why a key cannot be a TLS server's.
func checkPublicKey(public crypto.PublicKey) error {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < 1024 || public.N.BitLen() > mostRSA {
			return fmt.Errorf("an RSA key of %d bits; it must have %d to %d", public.N.BitLen(), leastRSA, mostRSA)
		}
	case *ecdsa.PublicKey:
		if c := public.Curve; c != elliptic.P256() && c != elliptic.P384() && c != elliptic.P521() {
			return fmt.Errorf("an ECDSA key on the curve %s; it must be P-256, P-384 or P-521", c.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return errors.New("a key of a kind that TLS servers do not have; it must be RSA, ECDSA or Ed25519")
	}
	return nil
}

// aged tells of a certificate whose time is not now.
func aged(c *x509.Certificate, now time.Time, advice string) []Warning {
	switch {
	case now.After(c.NotAfter):
		return []Warning{{Expired, fmt.Sprintf("the certificate %s expired on %s", Name(c), c.NotAfter.Format(time.DateOnly)), advice}}
	case now.Before(c.NotBefore):
		return []Warning{{NotYetValid, fmt.Sprintf("the certificate %s is not valid before %s", Name(c), c.NotBefore.UTC().Format(time.RFC3339)), "check this machine's clock"}}
	}
	return nil
}

// weak tells of keys and signatures that clients refuse.
func weak(c *x509.Certificate, advice string) (all []Warning) {
	if key, is := c.PublicKey.(*rsa.PublicKey); is && key.N.BitLen() < leastRSA {
		all = append(all, Warning{WeakKey, fmt.Sprintf("the certificate %s has an RSA key of %d bits; clients refuse keys of less than %d", Name(c), key.N.BitLen(), leastRSA), advice})
	}
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		if !selfSigned(c) {
			all = append(all, Warning{WeakSignature, fmt.Sprintf("the certificate %s is signed with %s, which clients refuse", Name(c), c.SignatureAlgorithm), advice})
		}
	}
	return all
}

// NeedsPassphrase tells of an error whether the key is encrypted and another passphrase
// could open it.
func NeedsPassphrase(err error) bool { return postern.HasCode(err, postern.CodePassphraseNeeded) }
