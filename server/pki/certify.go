package pki

import (
	"crypto"
	"encoding/pem"

	"github.com/postern-dev/postern"
)

// Certify makes a certificate for one name, wildcards included, and a key that somebody
// else holds. It gives the chain in PEM: the certificate and, during a rotation, the one
// that links to the root before; without the root. Whether the name is its holder's the
// caller knows. A name that is below none of our domains is vouched for by the second CA,
// which nobody is asked to trust. The certificate lives as long as those that the CA makes
// for itself.
func (ca *LocalCA) Certify(name postern.Hostname, key crypto.PublicKey) (chain string, err error) {
	g := ca.now.Load()
	issuer := ca.custom
	if ca.ours(name) {
		issuer = g.root
	}
	template := leafTemplate(ca.config.Now().Round(0))
	template.DNSNames, template.Subject = []string{name.String()}, subject(name.String())
	leaf, err := issuer.sign(template, key)
	if err != nil {
		return "", err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})
	if g.cross != nil && issuer == g.root {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.cross})...)
	}
	return string(text), nil
}
