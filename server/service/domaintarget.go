package service

import (
	"context"
	"encoding/base32"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// DomainTarget is where records of somebody else's zone point for a reserved domain.
type DomainTarget struct {
	Domain     postern.Hostname
	CNAME      postern.Hostname
	ACME       postern.Hostname // "" but for wildcards
	ResolvesTo []string         // regions; none: all
}

// DomainTargets returns the targets of the reserved domains of all accounts.
func (s *Service) DomainTargets(ctx context.Context) ([]DomainTarget, error) {
	var all []DomainTarget
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		all = nil
		return eachRow(ctx, tx.ReservedDomains(), nil, func(row *store.ReservedDomain) error {
			if row.CNAMETarget != "" {
				all = append(all, DomainTarget{Domain: row.Domain, CNAME: row.CNAMETarget, ACME: row.ACMETarget, ResolvesTo: row.ResolvesTo})
			}
			return nil
		})
	})
	return all, err
}

// ChallengeTarget is where the record of _acme-challenge below one of the server's own
// domains is to point, so that the server can show a certificate authority that the
// domain is its own. It stays the same for the life of an installation.
func (s *Service) ChallengeTarget() postern.Hostname {
	code := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(s.accountCode("own challenge", "")[:16])
	return postern.Hostname(strings.ToLower(code) + ".acme.dns." + string(s.domains[0]))
}
