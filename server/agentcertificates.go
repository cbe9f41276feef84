package server

import (
	"context"
	"crypto/x509"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// agentCertificates certifies the keys of agents that end TLS themselves.
type agentCertificates struct{ server *Server }

// Certify has the internal CA sign.
func (a agentCertificates) Certify(_ context.Context, _ postern.AccountID, name postern.Hostname, request *x509.CertificateRequest) (string, error) {
	if a.server.internal == nil {
		return "", postern.Errorf(postern.CodeOptionUnsupported, "this server has no CA that could sign for %s", name)
	}
	return a.server.internal.Certify(name, request.PublicKey)
}

// Directory names none: this server has its certificates from no ACME server.
func (a agentCertificates) Directory(postern.Hostname) *link.ACMEDirectory { return nil }
