package authority

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/postern-dev/postern"
)

// KeyType is a kind of private key; "" is ECDSA on P-256, which every client knows.
type KeyType string

// The kinds.
const (
	ECDSAP256 KeyType = "ecdsa-p256"
	ECDSAP384 KeyType = "ecdsa-p384"
	RSA2048   KeyType = "rsa-2048"
	RSA3072   KeyType = "rsa-3072"
	RSA4096   KeyType = "rsa-4096"
	Ed25519   KeyType = "ed25519"
)

// KeyTypes are all of them, the usual one first.
func KeyTypes() []string {
	return []string{string(ECDSAP256), string(ECDSAP384), string(RSA2048), string(RSA3072), string(RSA4096), string(Ed25519)}
}

// makeKey makes a private key; it is also given as PKCS #8 in PEM.
func makeKey(kind KeyType) (crypto.Signer, []byte, error) {
	key, err := generate(kind)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("private key: %w", err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func generate(kind KeyType) (crypto.Signer, error) {
	switch kind {
	case "", ECDSAP256, "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072, "rsa":
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, postern.Errorf(postern.CodeFlagInvalid, "--key-type %.40q is not one of %s", string(kind), strings.Join(KeyTypes(), ", "))
}

// usageOf is what a leaf's key is for: RSA keys also exchange keys with TLS 1.2's
// oldest suites.
func usageOf(key crypto.PublicKey) x509.KeyUsage {
	if _, isRSA := key.(*rsa.PublicKey); isRSA {
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	}
	return x509.KeyUsageDigitalSignature
}

func samePublic(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

// DescribeKey names a public key for people.
func DescribeKey(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA of %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA on " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return "of an unknown kind"
}
