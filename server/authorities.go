package server

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
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

// knownAuthority is one as it was read from text.
type knownAuthority struct {
	text string
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
		if known, is := before[key]; is && known.text == one.Certificate {
			now[key] = known
			continue
		}
		read, err := material.ReadAuthorities(material.Text{Name: one.ID, Data: []byte(one.Certificate)}, time.Now())
		if err != nil {
			s.log.ErrorContext(ctx, "an uploaded certificate authority cannot be used", "account", one.Account, "authority", one.ID, "error", err)
			continue
		}
		now[key] = knownAuthority{one.Certificate, read}
	}
	s.authorities.known.Store(&now)
	return nil
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
