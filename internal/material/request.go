package material

import (
	"crypto/x509"
	"errors"
	"fmt"
)

// ReadRequest reads one certificate signing request (PKCS #10, RFC 2986). Its signature
// is good: whoever made it has the key that it is for.
func ReadRequest(t Text) (*x509.CertificateRequest, error) {
	blocks, err := t.blocks()
	if err != nil {
		return nil, err
	}
	var requests []block
	for _, b := range blocks {
		switch {
		case b.isKey():
			return nil, t.fault("has a private key%s, expected a certificate signing request; the key stays where the request was made", b.where())
		case b.isCertificate():
			return nil, t.fault("has a certificate%s, expected a certificate signing request, which is what a certificate is made of", b.where())
		case b.kind == "CERTIFICATE REQUEST", b.kind == "NEW CERTIFICATE REQUEST":
			requests = append(requests, b)
		default:
			return nil, t.fault("has %s%s, expected a certificate signing request", kindName(b.kind), b.where())
		}
	}
	if len(requests) > 1 {
		return nil, t.fault("has %d certificate signing requests; give one at a time", len(requests))
	}
	request, err := ParseRequest(requests[0].der, readableRSA)
	if err != nil {
		return nil, t.fault("has a certificate signing request that %s", err)
	}
	return request, nil
}

// ParseRequest reads a certificate signing request in DER, of a key as CheckPublicKey
// wants it, which has signed the request. An error goes on from "it".
func ParseRequest(der []byte, leastRSA int) (*x509.CertificateRequest, error) {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %s", Reason(err))
	}
	if err := CheckPublicKey(request.PublicKey, leastRSA); err != nil { // before anything is verified with it
		return nil, fmt.Errorf("is for %w", err)
	}
	if err := request.CheckSignature(); err != nil {
		return nil, errors.New("has a signature that is not by the key that it is for: it was changed after it was made")
	}
	return request, nil
}

// ReadCertificates reads the certificates of a text, in its order, whatever they are for.
// There is at least one. What else is in the text is left alone.
func ReadCertificates(t Text) ([]*x509.Certificate, error) {
	blocks, err := t.blocks()
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for _, b := range blocks {
		if !b.isCertificate() {
			continue
		}
		c, err := t.certificate(b)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	switch {
	case len(all) > 0:
		return all, nil
	case blocks[0].isKey():
		return nil, t.fault("is a private key, expected a certificate")
	}
	return nil, t.fault("has %s%s, expected a certificate", kindName(blocks[0].kind), blocks[0].where())
}
