package server

import (
	"context"
	"crypto/x509"
	"os"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/store"
)

// agentCertificates certifies the keys of agents that end TLS themselves.
type agentCertificates struct{ server *Server }

// Certify gives what an ACME authority has signed for the key, where one does; until then,
// and where none does, what the internal CA signs.
func (a agentCertificates) Certify(_ context.Context, account postern.AccountID, name postern.Hostname, request *x509.CertificateRequest) (string, time.Duration, error) {
	s := a.server
	var after time.Duration
	if s.orders != nil && a.public(name) {
		var chain string
		if chain, after = s.orders.latest(account, name, request); chain != "" {
			return chain, after, nil
		}
	}
	if s.internal == nil {
		return "", 0, postern.Errorf(postern.CodeOptionUnsupported, "this server has no CA that could sign for %s", name)
	}
	chain, err := s.internal.Certify(name, request.PublicKey)
	return chain, after, err
}

// public tells whether an authority can find out that the name is here, by a visit.
func (a agentCertificates) public(name postern.Hostname) bool {
	return !name.Wildcard() && !name.Internal() && (!a.server.own(name) || a.server.config.TLS.Mode == ModeACME)
}

// Directory offers the server's own authority to agents that want to deal with it
// themselves, unless it takes only accounts that are bound to one of the operator's.
func (a agentCertificates) Directory(name postern.Hostname) *link.ACMEDirectory {
	c := a.server.config
	directories := c.directories()
	if len(directories) == 0 || c.ACME.EABKeyID != "" || !a.public(name) {
		return nil
	}
	offer := &link.ACMEDirectory{URL: directories[0]}
	if c.ACME.CARoot != "" {
		roots, err := os.ReadFile(c.ACME.CARoot)
		if err != nil {
			return nil // the server itself could not ask it, either
		}
		offer.Roots = string(roots)
	}
	return offer
}

// agentJob is the work on a certificate for an agent's key, as far as proofs depend on it.
func agentJob(name postern.Hostname) store.CertificateJob {
	return store.CertificateJob{Kind: store.JobEndpoint, Name: name}
}
