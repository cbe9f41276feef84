package service

import (
	"crypto/x509"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
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
			row.Revocations, err = revocationLists(c.CRLPEM, ca)
			return err
		},
		change: func(_ *draft, _ Caller, row *store.CertificateAuthority, u resource.CertificateAuthorityUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			if u.CRLPEM == nil {
				return nil
			}
			ca, err := storedLeaf(row.ID, row.Certificate)
			if err != nil {
				return err
			}
			row.Revocations, err = revocationLists(*u.CRLPEM, ca)
			return err
		},
		release: func(d *draft, _ Caller, row *store.CertificateAuthority) error {
			return d.unnamed(row.Account, row.ID, mentions(row.ID))
		},
		show: func(_ reader, row *store.CertificateAuthority) (resource.CertificateAuthority, error) {
			ca, err := storedLeaf(row.ID, row.Certificate)
			if err != nil {
				return resource.CertificateAuthority{}, err
			}
			var lists *string
			if row.Revocations != "" {
				lists = &row.Revocations
			}
			return resource.CertificateAuthority{
				Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta),
				CAPEM: row.Certificate, SubjectCommonName: row.CommonName,
				NotBefore: resource.Moment(row.NotBefore), NotAfter: resource.Moment(row.NotAfter),
				KeyUsages: uploaded.KeyUsages(ca), ExtendedKeyUsages: uploaded.ExtendedKeyUsages(ca), CRLPEM: lists,
			}, nil
		},
	}
}

// MaxRevocations bounds the text of an authority's revocation lists, in bytes.
const MaxRevocations = 256 << 10

// revocationLists reads the lists that an authority has signed, "" for none, and gives
// them without what stood between them. One that is past its next update is taken:
// endpoints say what that means to them.
func revocationLists(given string, ca *x509.Certificate) (string, error) {
	if given == "" {
		return "", nil
	}
	lists, err := material.ReadListsOf(material.Text{Name: "crl_pem", Data: []byte(given), Most: MaxRevocations}, ca)
	if err != nil {
		return "", err
	}
	text := string(material.ListsPEM(lists))
	if len(text) > MaxRevocations { // its lines were longer
		return "", postern.Errorf(postern.CodeMaterialInvalid, "crl_pem has %d bytes in lines of 64, at most %d are allowed", len(text), MaxRevocations)
	}
	return text, nil
}
