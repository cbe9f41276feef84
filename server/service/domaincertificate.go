package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// attachCertificate has a domain show one of its account's certificates; "" takes it
// away.
func (s *Service) attachCertificate(d *draft, row *store.ReservedDomain, id string) error {
	if id != "" {
		if _, err := d.TLSCertificates().Get(d.ctx, row.Account, id); err != nil {
			if postern.HasCode(err, postern.CodeNotFound) {
				return postern.Errorf(postern.CodeValueInvalid, "certificate_id is %.60q; your account has no such certificate", id)
			}
			return err
		}
	}
	row.Certificate = id
	return nil
}

// DomainCertificate says which certificate of its account's a reserved domain shows.
type DomainCertificate struct {
	Account     postern.AccountID
	Domain      postern.Hostname
	Certificate string
}

// DomainCertificates returns the reserved domains of all accounts that show a certificate.
func (s *Service) DomainCertificates(ctx context.Context) ([]DomainCertificate, error) {
	var all []DomainCertificate
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		all = nil
		some := store.Compare{Field: "certificate_id", Op: store.Differs, Value: nil}
		return eachRow(ctx, tx.ReservedDomains(), some, func(row *store.ReservedDomain) error {
			all = append(all, DomainCertificate{Account: row.Account, Domain: row.Domain, Certificate: row.Certificate})
			return nil
		})
	})
	return all, err
}
