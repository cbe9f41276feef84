package config

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"strings"

	"github.com/postern-dev/postern"
)

// ReadPEM takes PEM text as it is and anything else for a path. what is for the
// message, e.g. "certificate". Errors are CodeFileUnreadable.
func ReadPEM(text, what string) ([]byte, error) {
	if strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN ") {
		return []byte(text), nil
	}
	content, err := os.ReadFile(text)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the %s cannot be read: %v", what, err).Because(err)
	}
	return content, nil
}

// ReadCAs is ReadPEM for certificates of authorities. A private key in their place, an
// easy mistake with files called ca-key and ca-crt, is CodeConfigInvalid, and so is
// what holds no certificate.
func ReadCAs(text string) ([]byte, error) {
	content, err := ReadPEM(text, "CA certificate")
	if err != nil {
		return nil, err
	}
	certificates, keys := 0, 0
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "CERTIFICATE":
			if _, err := x509.ParseCertificate(block.Bytes); err != nil {
				return nil, postern.Errorf(postern.CodeConfigInvalid, "%s holds a certificate that cannot be read: %v", nameOf(text), err)
			}
			certificates++
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			keys++
		}
	}
	switch {
	case keys > 0:
		return nil, postern.Errorf(postern.CodeConfigInvalid,
			"%s is a private key, expected a CA certificate; a CA's key stays where certificates are made", nameOf(text))
	case certificates == 0:
		return nil, postern.Errorf(postern.CodeConfigInvalid, "%s holds no certificate in PEM", nameOf(text))
	}
	return content, nil
}

func nameOf(text string) string {
	if strings.HasPrefix(strings.TrimSpace(text), "-----BEGIN ") {
		return "mutual_tls_cas"
	}
	return clip(text)
}
