package uploaded

import (
	"crypto/x509"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

const (
	// MaxChain bounds the text of a chain or authority, in bytes.
	MaxChain = 64 << 10
	// maxCertificates bounds a chain. Clients give up on longer ones.
	maxCertificates = 16
)

// Chain reads certificates for a TLS server, its own first, and each signed by the one
// after it. Whether they are valid today is not asked.
func Chain(text string) ([]*x509.Certificate, error) {
	field := certificateField{"certificate_pem", postern.CodeCertificateMissing, postern.CodeCertificateUnreadable, postern.CodeCertificateIsKey}
	blocks, err := field.blocks(text)
	if err != nil {
		return nil, err
	}
	if len(blocks) > maxCertificates {
		return nil, postern.Errorf(postern.CodeCertificateUnreadable, "certificate_pem has %d certificates, at most %d are allowed", len(blocks), maxCertificates)
	}
	chain, err := parse(blocks)
	if err != nil {
		return nil, err
	}
	if err := material.CheckPublicKey(chain[0].PublicKey, material.LeastRSA); err != nil {
		return nil, postern.Errorf(postern.CodeCertificateUnreadable, "the certificate %s is for %s", material.Name(chain[0]), err)
	}
	if err := checkOrder(chain); err != nil {
		return nil, err
	}
	return chain, nil
}

// Authority reads the one certificate of an authority.
func Authority(text string) (*x509.Certificate, error) {
	field := certificateField{"ca_pem", postern.CodeAuthorityMissing, postern.CodeAuthorityNotPEM, postern.CodePEMTypeWrong}
	blocks, err := field.blocks(text)
	if err != nil {
		return nil, err
	}
	chain, err := parse(blocks[:min(len(blocks), maxCertificates)])
	if err != nil {
		return nil, err
	}
	if len(blocks) != 1 {
		return nil, postern.Errorf(postern.CodeAuthorityNotOne, "ca_pem has %d certificates (%s); upload each by itself", len(blocks), material.Names(chain))
	}
	if ca := chain[0]; !ca.BasicConstraintsValid || !ca.IsCA {
		return nil, postern.Errorf(postern.CodeAuthorityNotCA, "the certificate %s is not that of an authority: its basic constraints do not say CA:TRUE", material.Name(ca))
	}
	return chain[0], nil
}

func parse(blocks []block) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, len(blocks))
	for i, b := range blocks {
		var err error
		if chain[i], err = x509.ParseCertificate(b.Bytes); err != nil {
			return nil, postern.Errorf(postern.CodeCertificateUnreadable, "the certificate in the PEM block at line %d cannot be read: %s", b.line, material.Reason(err))
		}
		if err := material.CheckSize(chain[i].PublicKey); err != nil {
			return nil, postern.Errorf(postern.CodeCertificateUnreadable, "the certificate %s is for %s", material.Name(chain[i]), err)
		}
	}
	return chain, nil
}

// checkOrder sees that each certificate is signed by the next.
func checkOrder(chain []*x509.Certificate) error {
	for i := range len(chain) - 1 {
		if !material.SignedBy(chain[i], chain[i+1]) {
			return postern.Errorf(postern.CodeChainOrder, "the chain has %s, in this order, but %s was not signed by %s; begin with the server's own certificate, then the one that signed it, and so on",
				material.Names(chain), material.Name(chain[i]), material.Name(chain[i+1]))
		}
	}
	return nil
}
