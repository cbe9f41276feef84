package service

import (
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
