package sshca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
)

// The types of keys.
const (
	RSA     = "rsa"
	ECDSA   = "ecdsa"
	Ed25519 = "ed25519"
)

// Of RSA keys, in bits.
const (
	minRSA = 2048
	maxRSA = 8192
)

// Parameters say which key is wanted. What is empty is chosen: an Ed25519 key, P-256, and
// 4096 bits.
type Parameters struct {
	Type  string // RSA, ECDSA, Ed25519
	Curve string // of ECDSA: p256, p384, p521
	Size  int64  // of RSA, in bits: 2048, 4096
}

// Normalize fills in what is empty. Parameters that do not go together, or are not known,
// are refused.
func (p Parameters) Normalize() (Parameters, error) {
	if p.Type == "" {
		p.Type = Ed25519
	}
	if types := []string{RSA, ECDSA, Ed25519}; !slices.Contains(types, p.Type) {
		return p, postern.Errorf(postern.CodeSSHKeyType, "private_key_type is %q; it must be one of %s", clip(p.Type), strings.Join(types, ", "))
	}
	switch {
	case p.Size != 0 && p.Type != RSA:
		return p, postern.Errorf(postern.CodeSSHKeySizeUnused, "key_size is given and private_key_type is %q; only keys of the type rsa have a size", p.Type)
	case p.Curve != "" && p.Type != ECDSA:
		return p, postern.Errorf(postern.CodeSSHCurveUnused, "elliptic_curve is given and private_key_type is %q; only keys of the type ecdsa have a curve", p.Type)
	case p.Type == RSA && p.Size == 0:
		p.Size = 4096
	case p.Type == RSA && p.Size != 2048 && p.Size != 4096:
		return p, postern.Errorf(postern.CodeSSHKeySize, "key_size is %d; it must be 2048 or 4096", p.Size)
	case p.Type == ECDSA && p.Curve == "":
		p.Curve = "p256"
	case p.Type == ECDSA:
		written := p.Curve
		p.Curve = strings.NewReplacer("-", "", "nist", "").Replace(strings.ToLower(written))
		if curves := []string{"p256", "p384", "p521"}; !slices.Contains(curves, p.Curve) {
			return p, postern.Errorf(postern.CodeSSHCurve, "elliptic_curve is %q; it must be one of %s", clip(written), strings.Join(curves, ", "))
		}
	}
	return p, nil
}

// Generate makes a key of normalized parameters. For RSA that takes a processor some
// seconds.
func (p Parameters) Generate() (crypto.Signer, error) {
	switch p.Type {
	case RSA:
		return rsa.GenerateKey(rand.Reader, int(p.Size))
	case ECDSA:
		curves := map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()}
		return ecdsa.GenerateKey(curves[p.Curve], rand.Reader)
	default:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
}

// AuthorizedKey is the public half of a key as one line of an authorized_keys file,
// without its end.
func AuthorizedKey(key crypto.Signer) (string, error) {
	public, err := ssh.NewPublicKey(key.Public())
	if err != nil {
		return "", postern.Errorf(postern.CodeInternal, "the authority's key cannot be written").Because(err)
	}
	return line(public), nil
}

func line(key ssh.PublicKey) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))) }

// maxPublicKey bounds the text of a public key, in bytes: one of RSA with 8192 bits has
// about 1400.
const maxPublicKey = 4096

// PublicKey reads the key that a certificate is to be for: one line of an authorized_keys
// file without options. kind is RSA, ECDSA or Ed25519.
func PublicKey(text string) (key ssh.PublicKey, kind string, err error) {
	content := strings.TrimSpace(text)
	switch {
	case content == "":
		return nil, "", postern.Errorf(postern.CodeSSHPublicKeyMissing, "public_key is empty")
	case len(text) > maxPublicKey:
		return nil, "", postern.Errorf(postern.CodeSSHPublicKey, "public_key has %d bytes, at most %d are allowed", len(text), maxPublicKey)
	case strings.Contains(content, "PRIVATE KEY"):
		return nil, "", postern.Errorf(postern.CodeSSHPublicKey, "public_key is a private key; send the line in the file whose name ends with .pub")
	case strings.ContainsAny(content, "\n\r\x00"):
		return nil, "", postern.Errorf(postern.CodeSSHPublicKey, "public_key must be one line")
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(content))
	if err != nil {
		return nil, "", postern.Errorf(postern.CodeSSHPublicKey, "public_key %q is not a line as in authorized_keys: a type, such as ssh-ed25519, and base64", clip(content))
	}
	if len(options) > 0 {
		return nil, "", postern.Errorf(postern.CodeSSHPublicKey, "public_key has options before the key; send the key alone")
	}
	kind, err = kindOf(key)
	return key, kind, err
}

func kindOf(key ssh.PublicKey) (string, error) {
	switch key.Type() {
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return ECDSA, nil
	case ssh.KeyAlgoED25519:
		return Ed25519, nil
	case ssh.KeyAlgoRSA:
		if wrapped, is := key.(ssh.CryptoPublicKey); is {
			if public, is := wrapped.CryptoPublicKey().(*rsa.PublicKey); is && (public.N.BitLen() < minRSA || public.N.BitLen() > maxRSA) {
				return "", postern.Errorf(postern.CodeSSHKeySize, "public_key is an RSA key of %d bits; it must have %d to %d", public.N.BitLen(), minRSA, maxRSA)
			}
		}
		return RSA, nil
	}
	return "", postern.Errorf(postern.CodeSSHKeyUncertifiable, "public_key is of the type %q; certificates are for keys of the types rsa, ecdsa and ed25519", clip(key.Type()))
}

// clip shortens what somebody sent for a message.
func clip(text string) string { return postern.Clip(text, 60) }
