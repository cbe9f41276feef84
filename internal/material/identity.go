package material

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// MostChain bounds the certificates of one chain. Clients give up on longer ones.
const MostChain = 16

// Identity is a server's certificate, those that lead from it to an authority, and its
// key.
type Identity struct {
	Chain    []*x509.Certificate // the server's own first, each signed by the next
	Key      crypto.Signer
	Warnings []Warning
}

// ReadIdentity reads a certificate chain and the private key of its first certificate.
// The key's text may be empty where the chain's has the key, too. A chain in another order
// is put right and told of; passphrase opens an encrypted key.
func ReadIdentity(chain, key Text, passphrase postern.Secret, now time.Time) (*Identity, error) {
	blocks, err := chain.blocks()
	if err != nil {
		return nil, err
	}
	keyBlocks, keyText := blocks, chain
	if len(bytes.TrimSpace(key.Data)) > 0 {
		if keyBlocks, err = key.blocks(); err != nil {
			return nil, err
		}
		keyText = key
	} else if !slices.ContainsFunc(blocks, block.isKey) {
		return nil, key.fault("is empty; the private key of %s belongs there", chain.Name)
	}
	if swapped(blocks, keyBlocks) {
		return nil, chain.fault("is a private key and %s is a certificate: the two are the wrong way round", key.Name)
	}
	certificates, err := chain.certificates(blocks)
	if err != nil {
		return nil, err
	}
	signer, err := keyText.key(keyBlocks, passphrase)
	if err != nil {
		return nil, err
	}
	id := &Identity{Key: signer}
	if err := id.order(chain, keyText, certificates); err != nil {
		return nil, err
	}
	id.Warnings = append(id.Warnings, id.defects(now)...)
	return id, nil
}

func swapped(chain, key []block) bool {
	hasKey, hasCertificate := slices.ContainsFunc(chain, block.isKey), slices.ContainsFunc(chain, block.isCertificate)
	return hasKey && !hasCertificate && slices.ContainsFunc(key, block.isCertificate) && !slices.ContainsFunc(key, block.isKey)
}

// certificates reads those of a chain's blocks; a key beside them is left alone.
func (t Text) certificates(blocks []block) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, b := range blocks {
		switch {
		case b.isCertificate():
			c, err := t.certificate(b)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(all, c.Equal) {
				all = append(all, c)
			}
		case b.isKey(), b.isRevocationList(), b.kind == "EC PARAMETERS", b.kind == "DH PARAMETERS":
		default:
			return nil, t.fault("has %s%s, expected a certificate", kindName(b.kind), b.where())
		}
	}
	switch {
	case len(all) == 0 && slices.ContainsFunc(blocks, block.isKey):
		return nil, t.fault("is a private key, expected a certificate")
	case len(all) == 0:
		return nil, t.fault("has no certificate")
	case len(all) > MostChain:
		return nil, t.fault("has %d certificates, at most %d are allowed: the server's own, and those that lead from it to an authority", len(all), MostChain)
	}
	return all, nil
}

// order puts the certificates into the order in which they are sent: that of the key, and
// then always the one that signed the last.
func (id *Identity) order(chainText, keyText Text, all []*x509.Certificate) error {
	own := slices.IndexFunc(all, id.owns)
	if own < 0 {
		return postern.Errorf(postern.CodeMaterialInvalid, "%s does not belong to %s: the key (%s) is not that of the certificate %s (%s)",
			keyText.Name, chainText.Name, keyName(id.Key.Public()), Name(all[0]), keyName(all[0].PublicKey))
	}
	id.Chain = []*x509.Certificate{all[own]}
	left := slices.Delete(slices.Clone(all), own, own+1)
	for last := all[own]; !selfSigned(last); {
		next := slices.IndexFunc(left, func(c *x509.Certificate) bool { return SignedBy(last, c) })
		if next < 0 {
			break
		}
		last = left[next]
		id.Chain = append(id.Chain, last)
		left = slices.Delete(left, next, next+1)
	}
	if sent := all[:len(id.Chain)]; !slices.EqualFunc(sent, id.Chain, (*x509.Certificate).Equal) {
		id.warn(Order, "%s has its certificates in the order %s; they are sent in the right one, which is %s", chainText.Name, Names(all), Names(id.Chain))
	}
	if len(left) > 0 {
		id.warn(Superfluous, "%s has certificates that do not lead from %s to an authority, and are left out: %s", chainText.Name, Name(id.Chain[0]), Names(left))
	}
	return nil
}

func (id *Identity) owns(c *x509.Certificate) bool {
	public, comparable := c.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return comparable && public.Equal(id.Key.Public())
}

func (id *Identity) warn(d Defect, format string, args ...any) {
	id.Warnings = append(id.Warnings, Warning{Defect: d, Text: fmt.Sprintf(format, args...)})
}

// longest is what Apple's clients allow a certificate of a private authority.
const longest = 825 * 24 * time.Hour

// defects tells what speaks against a server's certificate.
func (id *Identity) defects(now time.Time) []Warning {
	leaf := id.Chain[0]
	all := aged(leaf, now, adviceServer)
	for _, c := range id.Chain[1:] {
		all = append(all, aged(c, now, "get its successor from the authority")...)
	}
	if leaf.Version < 3 {
		all = append(all, Warning{Version1, fmt.Sprintf("the certificate %s is of version %d and has no extensions", Name(leaf), leaf.Version), adviceServer})
	}
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		all = append(all, Warning{NoNames, fmt.Sprintf("the certificate %s names no host in its subjectAltName, and clients look nowhere else: they refuse it unless told not to verify (curl -k)", Name(leaf)), adviceServer})
	}
	if bytes.Equal(leaf.RawIssuer, leaf.RawSubject) && !selfSigned(leaf) {
		all = append(all, Warning{SameSubject, fmt.Sprintf("the certificate %s has the same subject as the CA that signed it: openssl takes it for self-signed, and \"openssl verify\" and \"curl --cacert\" fail with error 18", Name(leaf)), adviceServer})
	}
	if !usable(leaf, x509.ExtKeyUsageServerAuth) {
		all = append(all, Warning{WrongUsage, fmt.Sprintf("the certificate %s is not for servers (its extended key usage has no serverAuth): clients refuse it", Name(leaf)), adviceServer})
	}
	if leaf.NotAfter.Sub(leaf.NotBefore) > longest {
		all = append(all, Warning{LongLife, fmt.Sprintf("the certificate %s is valid for %d days; Apple's clients refuse more than 825", Name(leaf), int(leaf.NotAfter.Sub(leaf.NotBefore).Hours()/24)), adviceServer})
	}
	return append(all, weak(leaf, adviceServer)...)
}

// Alive refuses a certificate that has expired, or is not valid yet.
func (id *Identity) Alive(name string, now time.Time) error {
	if w := aged(id.Chain[0], now, adviceServer); len(w) > 0 {
		return postern.Errorf(postern.CodeMaterialInvalid, "%s: %s", name, w[0])
	}
	return nil
}

// Covers warns where the certificate is not good for the host; nil where it is.
func (id *Identity) Covers(host string) []Warning {
	leaf := id.Chain[0]
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 || leaf.VerifyHostname(host) == nil {
		return nil // the first is told of already
	}
	return []Warning{{NoNames, fmt.Sprintf("the certificate %s is for %s and not for %s: clients refuse it", Name(leaf), clip(strings.Join(leaf.DNSNames, ", ")), clip(host)), adviceServer}}
}

// TLS is the identity as crypto/tls takes it.
func (id *Identity) TLS() tls.Certificate {
	c := tls.Certificate{PrivateKey: id.Key, Leaf: id.Chain[0]}
	for _, one := range id.Chain {
		c.Certificate = append(c.Certificate, one.Raw)
	}
	return c
}

// PEM is the chain in order and nothing else, and the key in PKCS #8, not encrypted.
func (id *Identity) PEM() (chain []byte, key postern.Secret, err error) {
	var text bytes.Buffer
	for _, c := range id.Chain {
		_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}) // a buffer takes everything
	}
	der, err := x509.MarshalPKCS8PrivateKey(id.Key)
	if err != nil {
		return nil, "", postern.Errorf(postern.CodeMaterialInvalid, "the private key cannot be written as PKCS #8").Because(err)
	}
	return text.Bytes(), postern.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), nil
}
