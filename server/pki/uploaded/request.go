package uploaded

import (
	"crypto/x509"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

// MaxRequest bounds the text of a signing request, in bytes.
const MaxRequest = 16 << 10

// Request reads one certificate signing request (PKCS #10, RFC 2986). Its signature is
// good: who sent it has the key that it is for. field is its name for messages; whatever
// is wrong is CodeSigningRequestInvalid.
func Request(field, text string) (*x509.CertificateRequest, error) {
	if len(text) > MaxRequest {
		return nil, postern.Errorf(postern.CodeSigningRequestInvalid, "%s has %d bytes, at most %d are allowed", field, len(text), MaxRequest)
	}
	blocks, problem := blocksOf(text)
	for _, b := range blocks {
		if b.isKey() {
			return nil, postern.Errorf(postern.CodeSigningRequestInvalid, "%s has a private key, at line %d; keep that to yourself", field, b.line)
		}
	}
	switch {
	case problem != "":
		return nil, postern.Errorf(postern.CodeSigningRequestInvalid, "%s %s", field, problem)
	case len(blocks) != 1:
		return nil, postern.Errorf(postern.CodeSigningRequestInvalid, "%s has %d PEM blocks; it must have one", field, len(blocks))
	case blocks[0].Type != "CERTIFICATE REQUEST" && blocks[0].Type != "NEW CERTIFICATE REQUEST":
		return nil, postern.Errorf(postern.CodeSigningRequestInvalid, "%s has a PEM block of the type %q; it must be %q", field, clip(blocks[0].Type), "CERTIFICATE REQUEST")
	}
	request, err := material.ParseRequest(blocks[0].Bytes, material.LeastRSA)
	if err != nil {
		return nil, postern.Errorf(postern.CodeSigningRequestInvalid, "%s %s", field, err)
	}
	return request, nil
}
