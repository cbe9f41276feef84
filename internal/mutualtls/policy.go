package mutualtls

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

// MostChain bounds the certificates that a client may send.
const MostChain = 8

// Policy says whose certificates let in. It never changes and may be used concurrently.
type Policy struct {
	mode        postern.ClientCertificateMode
	staleLists  bool
	authorities []*x509.Certificate
	pool        *x509.CertPool // never nil: crypto/x509 would take the system's
	lists       []*lists
}

// Compile makes the policy of authorities and their revocation lists. Each of all is one
// text or one uploaded authority. Errors are CodeMaterialInvalid and CodeConfigInvalid.
func Compile(m postern.MutualTLS, all ...*material.Authorities) (*Policy, error) {
	mode, err := postern.ParseClientCertificateMode(string(m.EffectiveMode()))
	if err != nil {
		return nil, err
	}
	p := &Policy{mode: mode, staleLists: m.StaleLists, pool: x509.NewCertPool()}
	for _, given := range all {
		for _, c := range given.Certificates {
			if !slices.ContainsFunc(p.authorities, c.Equal) {
				p.authorities = append(p.authorities, c)
				p.pool.AddCert(c)
			}
		}
	}
	if len(p.authorities) > material.MostAuthorities {
		return nil, postern.Errorf(postern.CodeMaterialInvalid, "mutual TLS has %d CA certificates, at most %d are allowed", len(p.authorities), material.MostAuthorities)
	}
	if len(p.authorities) == 0 && p.mode.Verifies() {
		return nil, postern.Errorf(postern.CodeMaterialInvalid, "mutual TLS with the mode %s needs the certificates of authorities: nobody could be let in", p.mode)
	}
	for _, given := range all {
		p.addLists(given.Revocations)
	}
	return p, nil
}

// Closed is the policy of an endpoint whose own cannot be compiled: it lets nobody in.
func Closed() *Policy {
	return &Policy{mode: postern.ClientCertificateRequiredAndVerified, pool: x509.NewCertPool()}
}

// mostNames bounds what a server says of its authorities in a handshake: the list has
// 64 KiB, and clients read all of it.
const mostNames = 16 << 10

// Apply has config ask for certificates, and verify them. config must be new: its session
// tickets must be good for nothing else. now is the clock, nil for time.Now.
func (p *Policy) Apply(config *tls.Config, now func() time.Time) {
	if now == nil {
		now = time.Now
	}
	config.Time = now
	config.ClientAuth = tls.RequestClientCert
	if p.mode.Requires() {
		config.ClientAuth = tls.RequireAnyClientCert
	}
	if p.mode.Verifies() && p.named() {
		config.ClientCAs = p.pool
		config.ClientAuth = tls.VerifyClientCertIfGiven
		if p.mode.Requires() {
			config.ClientAuth = tls.RequireAndVerifyClientCert
		}
	}
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if !state.DidResume && len(state.VerifiedChains) > 0 && len(state.PeerCertificates) <= MostChain {
			return p.unrevoked(state.VerifiedChains, now()) // verified a moment ago
		}
		return p.Check(state, now())
	}
}

// named tells whether clients are told the names of the authorities, and crypto/tls then
// verifies. Clients show what one of those has signed: where a certificate vouches for
// itself alone, its issuer need not be among them. Check verifies in any case.
func (p *Policy) named() bool {
	size := 0
	for _, c := range p.authorities {
		if c.Version >= 3 && !c.IsCA {
			return false
		}
		size += len(c.RawSubject) + 2
	}
	return size <= mostNames
}

// Check tells why the state of a connection does not let its client in; nil where it
// does. It is asked in handshakes, and again when a policy has changed.
func (p *Policy) Check(state tls.ConnectionState, now time.Time) error {
	sent := state.PeerCertificates
	switch {
	case len(sent) == 0 && p.mode.Requires():
		return refuse(Missing, nil, "the client has shown no certificate")
	case len(sent) > MostChain:
		return refuse(Invalid, sent[0], "the client has sent %d certificates, at most %d are allowed", len(sent), MostChain)
	case len(sent) == 0 || !p.mode.Verifies():
		return nil
	}
	return p.verify(sent, now)
}

// Verified tells whether an authority vouches for what a client that was let in has sent;
// some modes let in others.
func (p *Policy) Verified(sent []*x509.Certificate, now time.Time) bool {
	if len(sent) == 0 || p.mode.Verifies() {
		return len(sent) > 0
	}
	return len(sent) <= MostChain && len(p.authorities) > 0 && p.verify(sent, now) == nil
}

func (p *Policy) verify(sent []*x509.Certificate, now time.Time) error {
	options := x509.VerifyOptions{
		Roots: p.pool, Intermediates: x509.NewCertPool(), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range sent[1:] {
		options.Intermediates.AddCert(c)
	}
	chains, err := sent[0].Verify(options)
	if err != nil {
		return Explain(&tls.CertificateVerificationError{UnverifiedCertificates: sent, Err: err})
	}
	return p.unrevoked(chains, now)
}

// Usable refuses what an endpoint cannot have.
func Usable(m postern.MutualTLS, scheme postern.Scheme, termination postern.Termination) error {
	switch {
	case !m.Asks():
		return nil
	case scheme == postern.TLS && termination != postern.AtEdge:
		return postern.Errorf(postern.CodeBindInvalid, "mutual TLS at the edge needs TLS that ends there: have the tls endpoint terminated at the edge, or let the agent or service behind it ask for certificates")
	case scheme != postern.HTTPS && scheme != postern.TLS:
		return postern.Errorf(postern.CodeBindInvalid, "mutual TLS is for https endpoints and tls endpoints that end at the edge; visitors of %s endpoints speak no TLS with the edge in which they could show a certificate", scheme)
	}
	_, err := postern.ParseClientCertificateMode(string(m.Mode))
	return err
}
