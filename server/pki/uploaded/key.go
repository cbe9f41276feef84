package uploaded

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

// MaxKey bounds the text of a private key, in bytes.
const MaxKey = 16 << 10

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
	key, err := material.ParseKey(b.Bytes)
	if err != nil {
		return nil, postern.Errorf(postern.CodePrivateKeyUnreadable, "the private key cannot be read; it must be an RSA, ECDSA (P-256, P-384, P-521) or Ed25519 key in PKCS #8, PKCS #1 or SEC 1")
	}
	if err := material.CheckPublicKey(key.Public(), material.LeastRSA); err != nil {
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
			return postern.Errorf(postern.CodeKeyMismatch, "the private key is that of %s, which is certificate %d of the chain; the chain must begin with it", material.Name(c), i+1)
		}
	}
	return postern.Errorf(postern.CodeKeyMismatch, "the private key (%s) is not that of the certificate %s (%s)", KeyType(key.Public()), material.Name(chain[0]), KeyType(chain[0].PublicKey))
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
