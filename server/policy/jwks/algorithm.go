package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"slices"
)

// Algorithms are the signature algorithms (RFC 7518, RFC 8037) for which there can be keys.
func Algorithms() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// suits tells whether a key is one for an algorithm.
func suits(key crypto.PublicKey, algorithm string) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		return slices.Contains([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, algorithm)
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return algorithm == "ES256"
		case elliptic.P384():
			return algorithm == "ES384"
		case elliptic.P521():
			return algorithm == "ES512"
		}
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	}
	return false
}
