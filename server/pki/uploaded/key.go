package uploaded

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/postern-dev/postern"
)

const (
	// MaxKey bounds the text of a private key, in bytes.
	MaxKey = 16 << 10

	// Of RSA keys, in bits: clients refuse shorter ones, and crypto/tls longer ones, which
	// take too long to verify with.
	minRSA, maxRSA = 2048, 8192
)

// Key reads one private key that is not encrypted: PKCS #8, PKCS #1 or SEC 1; RSA, ECDSA
// on a NIST curve, or Ed25519. Nothing of the text is in an error.
func Key(text string) (crypto.Signer, error) {
	if len(text) > MaxKey {
		return nil, postern.Errorf(postern.CodePrivateKeyUnreadable, "private_key_pem has %d bytes, at most %d are allowed", len(text), MaxKey)
	}
	if strings.TrimSpace(text) == "" {
		return nil, postern.Errorf(postern.CodePrivateKeyMissing, "private_key_pem is empty")
	}
	blocks, problem := blocksOf(text)
	var keys []block
	for _, b := range blocks {
		switch {
		case b.isCertificate():
			return nil, postern.Errorf(postern.CodePrivateKeyIsCertificate, "private_key_pem has a certificate, at line %d; that belongs into certificate_pem", b.line)
		case b.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED"):
			return nil, postern.Errorf(postern.CodePrivateKeyEncrypted, "the private key is encrypted with a passphrase; openssl pkey -in FILE takes it away")
		case len(b.Headers) > 0:
			return nil, postern.Errorf(postern.CodePEMHeaders, "private_key_pem has headers in its PEM block at line %d; leave only base64 between the first and last line", b.line)
		case b.Type == "EC PARAMETERS": // which openssl writes before the key
		case !b.isKey():
			return nil, postern.Errorf(postern.CodePrivateKeyUnreadable, "private_key_pem has a PEM block of the type %q, at line %d; it must be \"PRIVATE KEY\", \"RSA PRIVATE KEY\" or \"EC PRIVATE KEY\"", clip(b.Type), b.line)
		default:
			keys = append(keys, b)
		}
	}
	switch {
	case problem != "" && !strings.Contains(text, begin):
		return nil, postern.Errorf(postern.CodePrivateKeyMissing, "private_key_pem is not PEM text: it must begin with -----BEGIN PRIVATE KEY-----")
	case problem != "":
		return nil, postern.Errorf(postern.CodePrivateKeyUnreadable, "private_key_pem %s", problem)
	case len(keys) == 0:
		return nil, postern.Errorf(postern.CodePrivateKeyMissing, "private_key_pem has no PEM block with a key")
	case len(keys) > 1:
		return nil, postern.Errorf(postern.CodePrivateKeyUnreadable, "private_key_pem has %d private keys; send the one of the certificate", len(keys))
	}
	return parseKey(keys[0])
}

func parseKey(b block) (crypto.Signer, error) {
	if b.Type == "OPENSSH PRIVATE KEY" {
		return nil, postern.Errorf(postern.CodePrivateKeyUnreadable, "the private key is in OpenSSH's own format; ssh-keygen -p -N '' -m PKCS8 -f FILE changes it")
	}
	// Programs write one kind under the name of another, as in tls.X509KeyPair.
	var found any
	if key, err := x509.ParsePKCS8PrivateKey(b.Bytes); err == nil {
		found = key
	} else if key, err := x509.ParsePKCS1PrivateKey(b.Bytes); err == nil {
		found = key
	} else if key, err := x509.ParseECPrivateKey(b.Bytes); err == nil {
		found = key
	}
	key, is := found.(crypto.Signer)
	if !is {
		return nil, postern.Errorf(postern.CodePrivateKeyUnreadable, "the private key cannot be read; it must be an RSA, ECDSA (P-256, P-384, P-521) or Ed25519 key in PKCS #8, PKCS #1 or SEC 1")
	}
	if err := checkPublicKey(key.Public()); err != nil {
		return nil, postern.Errorf(postern.CodePrivateKeyUnreadable, "the private key is %s", err)
	}
	return key, nil
}

// Pair refuses a key that is not the one of the chain's first certificate.
func Pair(chain []*x509.Certificate, key crypto.Signer) error {
	for i, c := range chain {
		public, comparable := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
		switch {
		case !comparable || !public.Equal(key.Public()):
		case i == 0:
			return nil
		default:
			return postern.Errorf(postern.CodeKeyMismatch, "the private key is that of %s, which is certificate %d of the chain; the chain must begin with it", name(c), i+1)
		}
	}
	return postern.Errorf(postern.CodeKeyMismatch, "the private key (%s) is not that of the certificate %s (%s)", KeyType(key.Public()), name(chain[0]), KeyType(chain[0].PublicKey))
}

// KeyType is "rsa", "ecdsa" or "ed25519", and "" for any other key.
func KeyType(public crypto.PublicKey) string {
	switch public.(type) {
	case *rsa.PublicKey:
		return "rsa"
	case *ecdsa.PublicKey:
		return "ecdsa"
	case ed25519.PublicKey:
		return "ed25519"
	}
	return ""
}

// checkPublicKey says why a key cannot be a TLS server's.
func checkPublicKey(public crypto.PublicKey) error {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if n := public.N.BitLen(); n < minRSA || n > maxRSA {
			return fmt.Errorf("an RSA key of %d bits; it must have %d to %d", n, minRSA, maxRSA)
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

// checkSize refuses keys that take too long to verify with.
func checkSize(public crypto.PublicKey) error {
	if public, is := public.(*rsa.PublicKey); is && public.N.BitLen() > maxRSA {
		return fmt.Errorf("an RSA key of %d bits; at most %d are allowed", public.N.BitLen(), maxRSA)
	}
	return nil
}
