package chisel

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/md5" // the old form of fingerprints, which people have in their scripts
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
)

// NewHostKey makes a server's key, ECDSA on P-256 as chisel's, in PEM.
func NewHostKey() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a host key: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("writing a host key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), nil
}

// ParseHostKey reads a key as NewHostKey and "chisel server --keygen" write it: PEM, or
// chisel's "ck-" and base64.
func ParseHostKey(text []byte) (ssh.Signer, error) {
	if rest, found := strings.CutPrefix(strings.TrimSpace(string(text)), "ck-"); found {
		der, err := base64.RawStdEncoding.DecodeString(rest)
		if err != nil {
			return nil, fmt.Errorf("a host key that begins with ck- is not base64: %w", err)
		}
		key, err := x509.ParseECPrivateKey(der)
		if err != nil {
			return nil, fmt.Errorf("a host key that begins with ck- holds no EC key: %w", err)
		}
		return ssh.NewSignerFromKey(key)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("the host key is neither PEM nor chisel's ck-: %w", err)
	}
	return signer, nil
}

// Fingerprint is how chisel shows a host key: the SHA-256 of its wire form, in base64
// with padding.
func Fingerprint(key ssh.PublicKey) string {
	sum := sha256.Sum256(key.Marshal())
	return base64.StdEncoding.EncodeToString(sum[:])
}

// CheckFingerprint compares a host key with what somebody wrote down: Fingerprint's
// form, or the old one, MD5 in hexadecimal with colons. chisel takes a beginning of the
// old form for the whole, we do not. The error is CodeServerUntrusted, in chisel's words.
func CheckFingerprint(key ssh.PublicKey, want string) error {
	got := Fingerprint(key)
	if strings.Contains(want, ":") {
		sum := md5.Sum(key.Marshal())
		pairs := make([]string, len(sum))
		for i, b := range sum {
			pairs[i] = fmt.Sprintf("%02x", b)
		}
		got = strings.Join(pairs, ":")
		want = strings.ToLower(want)
	}
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return postern.Errorf(postern.CodeServerUntrusted, "Invalid fingerprint (%s)", got)
	}
	return nil
}
