package server

import (
	"context"
	"crypto/tls"
	"sync/atomic"

	"github.com/postern-dev/postern"
)

// uploaded are the certificates that accounts have uploaded and put on their reserved
// domains. The zero value has none. It may be used concurrently.
type uploaded struct {
	domains atomic.Pointer[map[postern.Hostname]*tls.Certificate]
	// kept are those in force by their ids: a certificate never changes. Only who reads
	// them from the store looks here.
	kept map[string]*tls.Certificate
}

// set replaces them all.
func (u *uploaded) set(domains map[postern.Hostname]*tls.Certificate) {
	if len(domains) == 0 {
		u.domains.Store(nil)
		return
	}
	u.domains.Store(&domains)
}

// find gives the certificate for a name: the domain's own, or the nearest one of a domain
// or wildcard above it that is good for the name. nil: there is none.
func (u *uploaded) find(serverName string) *tls.Certificate {
	domains := u.domains.Load()
	if domains == nil {
		return nil
	}
	name, err := postern.ParseHostname(serverName)
	if err != nil || name.Wildcard() {
		return nil
	}
	if certificate := (*domains)[name]; certificate != nil {
		return certificate
	}
	for above := name.Parent(); above != ""; above = above.Parent() {
		for _, domain := range []postern.Hostname{"*." + above, above} {
			if certificate := (*domains)[domain]; certificate != nil && certificate.Leaf.VerifyHostname(string(name)) == nil {
				return certificate
			}
		}
	}
	return nil
}

// readUploaded reads them from the store. One that cannot be used is left out, and told.
func (s *Server) readUploaded(ctx context.Context) error {
	all, err := s.service.DomainCertificates(ctx)
	if err != nil {
		return err
	}
	domains := make(map[postern.Hostname]*tls.Certificate, len(all))
	kept := make(map[string]*tls.Certificate, len(all))
	for _, one := range all {
		if known := s.uploaded.kept[one.Certificate]; known != nil {
			domains[one.Domain], kept[one.Certificate] = known, known
			continue
		}
		pair, err := s.service.TLSKeyPair(ctx, one.Account, one.Certificate)
		if postern.HasCode(err, postern.CodeStoreUnavailable) {
			return err
		}
		if err != nil {
			s.log.ErrorContext(ctx, "a reserved domain's certificate cannot be used", "domain", one.Domain, "certificate", one.Certificate, "error", err)
			continue
		}
		domains[one.Domain], kept[one.Certificate] = &pair, &pair
	}
	s.uploaded.kept = kept
	s.uploaded.set(domains)
	return nil
}
