package service

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/store"
)

// attachCertificate has a domain show an uploaded certificate; "" takes it away.
func (s *Service) attachCertificate(_ *draft, row *store.ReservedDomain, id string) error {
	if id != "" {
		return postern.Errorf(postern.CodeValueInvalid, "certificate_id is %.60q; your account has no such certificate", id)
	}
	row.Certificate = ""
	return nil
}

// certificateRef points to a certificate.
func (s *Service) certificateRef(id string) *resource.Ref {
	return &resource.Ref{ID: id, URI: s.apiURL + "/tls_certificates/" + id}
}
