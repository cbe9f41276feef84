package uploaded

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/postern-dev/postern"
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
	if err := checkPublicKey(chain[0].PublicKey); err != nil {
		return nil, postern.Errorf(postern.CodeCertificateUnreadable, "the certificate %s is for %s", name(chain[0]), err)
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
		return nil, postern.Errorf(postern.CodeAuthorityNotOne, "ca_pem has %d certificates (%s); upload each by itself", len(blocks), names(chain))
	}
	if ca := chain[0]; !ca.BasicConstraintsValid || !ca.IsCA {
		return nil, postern.Errorf(postern.CodeAuthorityNotCA, "the certificate %s is not that of an authority: its basic constraints do not say CA:TRUE", name(ca))
	}
	return chain[0], nil
}

func parse(blocks []block) ([]*x509.Certificate, error) {
	chain := make([]*x509.Certificate, len(blocks))
	for i, b := range blocks {
		var err error
		if chain[i], err = x509.ParseCertificate(b.Bytes); err != nil {
			return nil, postern.Errorf(postern.CodeCertificateUnreadable, "the certificate in the PEM block at line %d cannot be read: %s", b.line, clip(strings.TrimPrefix(err.Error(), "x509: ")))
		}
		if err := checkSize(chain[i].PublicKey); err != nil {
			return nil, postern.Errorf(postern.CodeCertificateUnreadable, "the certificate %s is for %s", name(chain[i]), err)
		}
	}
	return chain, nil
}

// checkOrder sees that each certificate is signed by the next.
func checkOrder(chain []*x509.Certificate) error {
	for i := range len(chain) - 1 {
		if !signed(chain[i], chain[i+1]) {
			return postern.Errorf(postern.CodeChainOrder, "the chain has %s, in this order, but %s was not signed by %s; begin with the server's own certificate, then the one that signed it, and so on",
				names(chain), name(chain[i]), name(chain[i+1]))
		}
	}
	return nil
}

func signed(child, parent *x509.Certificate) bool {
	if !bytes.Equal(child.RawIssuer, parent.RawSubject) {
		return false
	}
	err := parent.CheckSignature(child.SignatureAlgorithm, child.RawTBSCertificate, child.Signature)
	// Old algorithms cannot be verified any more; the names must do.
	_, insecure := errors.AsType[x509.InsecureAlgorithmError](err)
	return err == nil || insecure
}

// name is how messages name a certificate.
func name(c *x509.Certificate) string {
	switch {
	case c.Subject.CommonName != "":
		return fmt.Sprintf("%q", clip(clean(c.Subject.CommonName)))
	case len(c.DNSNames) > 0:
		return fmt.Sprintf("%q", clip(clean(c.DNSNames[0])))
	}
	return fmt.Sprintf("%q", clip(clean(c.Subject.String())))
}

func names(chain []*x509.Certificate) string {
	all := make([]string, len(chain))
	for i, c := range chain {
		all[i] = name(c)
	}
	return strings.Join(all, ", ")
}
