package material

import (
	"crypto"
	"crypto/x509"
	"errors"
	"strings"

	"github.com/postern-dev/postern"
)

// ReadKey reads the one private key of a text: PKCS #8, PKCS #1 or SEC 1; RSA, ECDSA on a
// NIST curve, or Ed25519; encrypted ones with the passphrase. Certificates beside it are
// left alone.
func ReadKey(t Text, passphrase postern.Secret) (crypto.Signer, error) {
	blocks, err := t.blocks()
	if err != nil {
		return nil, err
	}
	return t.key(blocks, passphrase)
}

func (t Text) key(blocks []block, passphrase postern.Secret) (crypto.Signer, error) {
	var keys []block
	other := ""
	for _, b := range blocks {
		switch {
		case b.isKey():
			keys = append(keys, b)
		case b.isCertificate():
			other = "is a certificate, expected its private key"
		case b.kind == "EC PARAMETERS", b.kind == "DH PARAMETERS": // which openssl writes before a key
		case other == "":
			other = "has " + kindName(b.kind) + ", expected a private key"
		}
	}
	switch {
	case len(keys) == 0 && other != "":
		return nil, t.fault("%s", other)
	case len(keys) == 0:
		return nil, t.fault("has the parameters of a key and not the key itself")
	case len(keys) > 1:
		return nil, t.fault("has %d private keys; give the one of the certificate", len(keys))
	}
	return t.parseKey(keys[0], passphrase)
}

func (t Text) parseKey(b block, passphrase postern.Secret) (crypto.Signer, error) {
	der := b.der
	switch {
	case b.kind == "OPENSSH PRIVATE KEY":
		return nil, t.fault(`is a key in OpenSSH's own format; "ssh-keygen -p -N '' -m PKCS8 -f FILE" changes it`)
	case b.kind == "ENCRYPTED PRIVATE KEY":
		var err error
		if der, err = t.decrypt(b, passphrase, func(pass []byte) ([]byte, error) { return decryptPKCS8(b.der, pass) }); err != nil {
			return nil, err
		}
	case strings.Contains(b.headers["Proc-Type"], "ENCRYPTED"):
		var err error
		if der, err = t.decrypt(b, passphrase, func(pass []byte) ([]byte, error) { return decryptLegacy(b, pass) }); err != nil {
			return nil, err
		}
	}
	key, err := ParseKey(der)
	if err != nil {
		return nil, t.fault("is a private key that cannot be read; it must be RSA, ECDSA (P-256, P-384, P-521) or Ed25519, in PKCS #8, PKCS #1 or SEC 1")
	}
	if err := CheckPublicKey(key.Public(), readableRSA); err != nil {
		return nil, t.fault("is %s", err)
	}
	return key, nil
}

// decrypt opens an encrypted key.
func (t Text) decrypt(_ block, passphrase postern.Secret, open func([]byte) ([]byte, error)) ([]byte, error) {
	if passphrase == "" {
		return nil, postern.Errorf(postern.CodePassphraseNeeded, "%s is encrypted with a passphrase; give it with --key-passphrase-file, or take it away with \"openssl pkey -in FILE -out plain.pem\"", t.Name)
	}
	der, err := open([]byte(passphrase.Reveal()))
	if errors.Is(err, errPassphrase) {
		return nil, postern.Errorf(postern.CodePassphraseNeeded, "%s cannot be opened with this passphrase", t.Name)
	}
	if err != nil {
		return nil, t.fault(`is encrypted in a way that is not read here (%v); "openssl pkcs8 -topk8 -v2 aes256 -in FILE" encrypts it anew`, err)
	}
	if _, err := ParseKey(der); err != nil { // one wrong passphrase in 256 leaves a padding that looks right
		return nil, postern.Errorf(postern.CodePassphraseNeeded, "%s cannot be opened with this passphrase", t.Name)
	}
	return der, nil
}

// ParseKey reads a private key that is not encrypted, in any of its forms: programs write
// one under the name of another, as in tls.X509KeyPair.
func ParseKey(der []byte) (crypto.Signer, error) {
	var found any
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		found = key
	} else if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		found = key
	} else if key, err := x509.ParseECPrivateKey(der); err == nil {
		found = key
	}
	if key, is := found.(crypto.Signer); is {
		return key, nil
	}
	return nil, errors.New("not a key that can sign")
}
