package service

import (
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/pki/uploaded"
	"github.com/postern-dev/postern/server/store"
)

// CertificateAuthorities are the use cases of certificate authorities.
type CertificateAuthorities = Collection[store.CertificateAuthority, resource.CertificateAuthority, resource.CertificateAuthorityCreate, resource.CertificateAuthorityUpdate, *store.CertificateAuthority]

// CertificateAuthorities returns the use cases of certificate authorities.
func (s *Service) CertificateAuthorities() *CertificateAuthorities {
	definition := resource.CertificateAuthorities().Definition
	return &CertificateAuthorities{
		service: s, definition: definition, rows: store.Tx.CertificateAuthorities,
		stored: map[string]string{"subject_common_name": "subject_common_name", "not_before": "not_before", "not_after": "not_after"},
		events: eventTypes{event.CertificateAuthorityCreated, event.CertificateAuthorityUpdated, event.CertificateAuthorityDeleted},
		build: func(_ *draft, _ Caller, row *store.CertificateAuthority, c resource.CertificateAuthorityCreate) error {
			row.Description, row.Metadata = c.Description, c.Metadata
			ca, err := uploaded.Authority(c.CAPEM)
			if err != nil {
				return err
			}
			row.Certificate, row.CommonName = c.CAPEM, uploaded.Texts([]string{ca.Subject.CommonName})
			row.NotBefore, row.NotAfter = ca.NotBefore, ca.NotAfter
			return nil
		},
		change: func(_ *draft, _ Caller, row *store.CertificateAuthority, u resource.CertificateAuthorityUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			return nil
		},
		show: func(_ reader, row *store.CertificateAuthority) (resource.CertificateAuthority, error) {
			ca, err := storedLeaf(row.ID, row.Certificate)
			if err != nil {
				return resource.CertificateAuthority{}, err
			}
			return resource.CertificateAuthority{
				Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta),
				CAPEM: row.Certificate, SubjectCommonName: row.CommonName,
				NotBefore: resource.Moment(row.NotBefore), NotAfter: resource.Moment(row.NotAfter),
				KeyUsages: uploaded.KeyUsages(ca), ExtendedKeyUsages: uploaded.ExtendedKeyUsages(ca),
			}, nil
		},
	}
}
