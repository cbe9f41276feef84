package control

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/pki/uploaded"
)

// Certificates certifies the keys of agents that end the TLS of their endpoints. Who may
// have a certificate for a name Control has checked.
type Certificates interface {
	// Certify gives a chain for a name in PEM, the name's own certificate first, and after
	// what time to ask again for the same key, see link.Certified. CodeOptionUnsupported:
	// this server signs nothing for the name.
	Certify(ctx context.Context, account postern.AccountID, name postern.Hostname, request *x509.CertificateRequest) (chain string, after time.Duration, err error)
	// Directory is where an agent can have a certificate that everybody trusts; nil: the
	// server knows of no such place for the name.
	Directory(name postern.Hostname) *link.ACMEDirectory
}

// Certify implements link.Certifier: a session is given certificates for the names that it
// has online, if it ends their TLS, and for nothing else.
func (s *session) Certify(ctx context.Context, r link.CertificateRequest) (link.Certified, error) {
	ctx = s.context(ctx)
	host, err := s.certifiable(r.Endpoint)
	if err != nil {
		return link.Certified{}, err
	}
	certificates := s.control.config.Certificates
	if certificates == nil {
		return link.Certified{}, postern.Errorf(postern.CodeOptionUnsupported, "this server signs no certificates")
	}
	certified := link.Certified{ACME: certificates.Directory(host)}
	if len(r.CSR) == 0 {
		return certified, nil
	}
	request, err := readRequest(r.CSR, host)
	if err != nil {
		return link.Certified{}, err
	}
	if certified.Chain, certified.After, err = certificates.Certify(ctx, s.info.Account, host, request); err != nil {
		s.control.log.InfoContext(ctx, "an agent got no certificate", "host", host, "error", err)
		return link.Certified{}, err
	}
	s.control.log.InfoContext(ctx, "an agent got a certificate for its key", "host", host)
	return certified, nil
}

// certifiable is the host of an endpoint whose TLS the agent ends.
func (s *session) certifiable(bindID string) (postern.Hostname, error) {
	s.mu.Lock()
	e := s.endpoints[bindID]
	s.mu.Unlock()
	if e == nil {
		return "", postern.Errorf(postern.CodeNotFound, "the session has no endpoint %q", shorten(bindID))
	}
	e.mu.Lock()
	details, online := e.details, e.release != nil
	e.mu.Unlock()
	switch {
	case !online:
		return "", postern.Errorf(postern.CodeNotFound, "the endpoint %q is not online yet", shorten(bindID))
	case details.URL.Scheme != postern.TLS || details.URL.Internal() || details.Options.Termination != postern.Passthrough:
		return "", postern.Errorf(postern.CodeOptionUnsupported, "%s: agents are given certificates for public tls endpoints whose TLS they end themselves", details.URL)
	case !s.credential().ACL.Allows(details.URL):
		return "", notAllowed(details.URL)
	}
	return details.URL.Host, nil
}

// readRequest reads a request, which must be for the host alone: what else it says would
// be for others to believe.
func readRequest(der []byte, host postern.Hostname) (*x509.CertificateRequest, error) {
	request, err := uploaded.Request("the request", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})))
	if err != nil {
		return nil, err
	}
	if len(request.DNSNames) != 1 || postern.Hostname(request.DNSNames[0]) != host ||
		len(request.IPAddresses)+len(request.EmailAddresses)+len(request.URIs) > 0 {
		return nil, postern.Errorf(postern.CodeSigningRequestInvalid, "the request must be for the DNS name %s and nothing else", host)
	}
	return request, nil
}

var _ link.Certifier = (*session)(nil)
