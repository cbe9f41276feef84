package server

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/server/service"
)

// authorities are the certificate authorities that accounts have uploaded. The zero value
// has none. It may be used concurrently.
type authorities struct {
	known atomic.Pointer[map[authorityKey]knownAuthority]
}

type authorityKey struct {
	account postern.AccountID
	id      string
}

// knownAuthority is one as it was read from what the store has.
type knownAuthority struct {
	from service.Authority
	read *material.Authorities
}

// find gives an account's authority; nil for none. It is the same pointer for as long as
// the authority is unchanged.
func (a *authorities) find(account postern.AccountID, id string) *material.Authorities {
	if known := a.known.Load(); known != nil {
		return (*known)[authorityKey{account, id}].read
	}
	return nil
}

// readAuthorities reads them from the store. One that cannot be read is left out, and told.
func (s *Server) readAuthorities(ctx context.Context) error {
	all, err := s.service.Authorities(ctx)
	if err != nil {
		return err
	}
	var before map[authorityKey]knownAuthority
	if known := s.authorities.known.Load(); known != nil {
		before = *known
	}
	now := make(map[authorityKey]knownAuthority, len(all))
	for _, one := range all {
		key := authorityKey{one.Account, one.ID}
		if known, is := before[key]; is && known.from == one {
			now[key] = known
			continue
		}
		read, err := readAuthority(one)
		if err != nil {
			s.log.ErrorContext(ctx, "an uploaded certificate authority cannot be used", "account", one.Account, "authority", one.ID, "error", err)
			continue
		}
		now[key] = knownAuthority{one, read}
	}
	s.authorities.known.Store(&now)
	return nil
}

// readAuthority reads one with its revocation lists: without those that it has it would
// let in whom it has revoked.
func readAuthority(one service.Authority) (*material.Authorities, error) {
	read, err := material.ReadAuthorities(material.Text{Name: one.ID, Data: []byte(one.Certificate)}, time.Now())
	if err != nil || one.Revocations == "" {
		return read, err
	}
	lists, _, err := material.ReadRevocationLists(material.Text{Name: one.ID + " (crl_pem)", Data: []byte(one.Revocations), Most: service.MaxRevocations}, read.Certificates, time.Now())
	if err != nil {
		return nil, err
	}
	read.Revocations = append(read.Revocations, lists...)
	return read, nil
}

// checkAuthority refuses an authority that the account does not have. What is not known
// because the store does not answer passes: such an endpoint lets nobody in until it is.
func (s *Server) checkAuthority(ctx context.Context, account postern.AccountID, id string) error {
	if s.authorities.find(account, id) != nil {
		return nil
	}
	if err := s.service.HasAuthority(ctx, account, id); postern.HasCode(err, postern.CodeNotFound) {
		return postern.Errorf(postern.CodeBindInvalid, "mutual_tls_cas names %.60q; your account has no such certificate authority", id)
	}
	return nil
}
