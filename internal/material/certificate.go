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
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// Of RSA keys, in bits.
const (
	// LeastRSA is what clients want: shorter ones are told of.
	LeastRSA = 2048
	// mostRSA is what crypto/tls takes: longer ones take too long to verify with.
	mostRSA = 8192
	// readableRSA is what crypto/rsa takes at all.
	readableRSA = 1024
)

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
		return nil, t.fault("has a certificate that cannot be read%s: %s", b.where(), Reason(err))
	}
	if err := CheckSize(c.PublicKey); err != nil {
		return nil, t.fault("has the certificate %s with %s", Name(c), err)
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

// Serial is a serial number as openssl prints it: hexadecimal digits of whole bytes.
func Serial(number *big.Int) string {
	raw := number.Bytes()
	if len(raw) == 0 {
		raw = []byte{0}
	}
	return strings.ToUpper(hex.EncodeToString(raw))
}

// Names is Name of each, in one line.
func Names(all []*x509.Certificate) string {
	texts := make([]string, len(all))
	for i, c := range all {
		texts[i] = Name(c)
	}
	return strings.Join(texts, ", ")
}

// selfSigned tells whether a certificate's own key has signed it.
func selfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject) && SignedBy(c, c)
}

// SignedBy tells whether parent's key has signed child, whatever else they say of
// themselves.
func SignedBy(child, parent *x509.Certificate) bool {
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

// CheckPublicKey says why a key cannot be a TLS server's, in words that go on from "is" or
// "for". leastRSA are the bits that an RSA key must have.
func CheckPublicKey(public crypto.PublicKey, leastRSA int) error {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if n := public.N.BitLen(); n < leastRSA || n > mostRSA {
			return fmt.Errorf("an RSA key of %d bits; it must have %d to %d", n, LeastRSA, mostRSA)
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

// CheckSize says why a public key takes too long to verify with, in words as those of
// CheckPublicKey.
func CheckSize(public crypto.PublicKey) error {
	if public, is := public.(*rsa.PublicKey); is && public.N.BitLen() > mostRSA {
		return fmt.Errorf("an RSA key of %d bits; at most %d are allowed", public.N.BitLen(), mostRSA)
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
	if key, is := c.PublicKey.(*rsa.PublicKey); is && key.N.BitLen() < LeastRSA {
		all = append(all, Warning{WeakKey, fmt.Sprintf("the certificate %s has an RSA key of %d bits; clients refuse keys of less than %d", Name(c), key.N.BitLen(), LeastRSA), advice})
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
