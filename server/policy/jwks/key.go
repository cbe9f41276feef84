package jwks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"strings"
)

// The sizes of RSA keys, in bits: smaller ones are weak, larger ones cost too much.
const (
	leastBits = 2048
	mostBits  = 8192
)

// readRSA reads modulus and exponent (RFC 7518, section 6.3.1).
func readRSA(n, e string) (crypto.PublicKey, bool) {
	modulus, ok := decode(n)
	exponent, also := decode(e)
	if !ok || !also || len(exponent) > 4 || len(modulus) > mostBits/8+1 {
		return nil, false
	}
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(new(big.Int).SetBytes(exponent).Int64())}
	bits := public.N.BitLen()
	return public, bits >= leastBits && bits <= mostBits && public.N.Bit(0) == 1 && public.E >= 3 && public.E < 1<<31 && public.E%2 == 1
}

// readEC reads a point (RFC 7518, section 6.2.1), and sees that it is on its curve.
func readEC(name, x, y string) (crypto.PublicKey, bool) {
	var curve elliptic.Curve
	switch name {
	case "P-256":
		curve = elliptic.P256()
	case "P-384":
		curve = elliptic.P384()
	case "P-521":
		curve = elliptic.P521()
	default:
		return nil, false
	}
	size := (curve.Params().BitSize + 7) / 8
	left, ok := decode(x)
	right, also := decode(y)
	if !ok || !also || len(left) > size || len(right) > size {
		return nil, false
	}
	point := make([]byte, 1+2*size) // some issuers leave zeros in front out
	point[0] = 4
	copy(point[1+size-len(left):], left)
	copy(point[1+2*size-len(right):], right)
	public, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	return public, err == nil
}

// readEdwards reads an Ed25519 key (RFC 8037, section 2).
func readEdwards(curve, x string) (crypto.PublicKey, bool) {
	public, ok := decode(x)
	return ed25519.PublicKey(public), ok && curve == "Ed25519" && len(public) == ed25519.PublicKeySize
}

// decode reads base64url. Padding is not allowed there, yet seen.
func decode(text string) ([]byte, bool) {
	bytes, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	return bytes, err == nil && len(bytes) > 0
}
