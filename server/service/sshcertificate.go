package service

import (
	"maps"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/pki/sshca"
	"github.com/postern-dev/postern/server/store"
)

type (
	// SSHHostCertificates are the use cases of the certificates of SSH hosts.
	SSHHostCertificates = Collection[store.SSHCertificate, resource.SSHHostCertificate, resource.SSHHostCertificateCreate, resource.SSHHostCertificateUpdate, *store.SSHCertificate]

	// SSHUserCertificates are the use cases of the certificates of SSH users.
	SSHUserCertificates = Collection[store.SSHCertificate, resource.SSHUserCertificate, resource.SSHUserCertificateCreate, resource.SSHUserCertificateUpdate, *store.SSHCertificate]
)

// userLife is for how long users' certificates are valid by default; hosts' are for a
// year.
const userLife = 24 * time.Hour

// SSHHostCertificates returns the use cases of the certificates of SSH hosts.
func (s *Service) SSHHostCertificates() *SSHHostCertificates {
	definition := resource.SSHHostCertificates().Definition
	return &SSHHostCertificates{
		service: s, definition: definition, rows: store.Tx.SSHHostCertificates, stored: sshStored(),
		events: eventTypes{event.SSHHostCertificateCreated, event.SSHHostCertificateUpdated, event.SSHHostCertificateDeleted},
		build: func(d *draft, by Caller, row *store.SSHCertificate, c resource.SSHHostCertificateCreate) error {
			row.Description, row.Metadata = c.Description, c.Metadata
			row.Authority, row.PublicKey, row.Principals = c.SSHCertificateAuthorityID, c.PublicKey, slices.Clone(c.Principals)
			row.ValidAfter, row.ValidUntil = validity(d, c.ValidAfter, c.ValidUntil, func(from time.Time) time.Time { return from.AddDate(1, 0, 0) })
			return s.signSSH(d, by, row, sshca.Hosts)
		},
		change: func(_ *draft, _ Caller, row *store.SSHCertificate, u resource.SSHHostCertificateUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			return nil
		},
		show: func(_ reader, row *store.SSHCertificate) (resource.SSHHostCertificate, error) {
			return resource.SSHHostCertificate{
				Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta), PublicKey: row.PublicKey, KeyType: row.KeyType,
				SSHCertificateAuthorityID: row.Authority, Principals: append([]string{}, row.Principals...),
				ValidAfter: resource.Moment(row.ValidAfter), ValidUntil: resource.Moment(row.ValidUntil), Certificate: row.Certificate,
			}, nil
		},
	}
}

// SSHUserCertificates returns the use cases of the certificates of SSH users.
func (s *Service) SSHUserCertificates() *SSHUserCertificates {
	definition := resource.SSHUserCertificates().Definition
	return &SSHUserCertificates{
		service: s, definition: definition, rows: store.Tx.SSHUserCertificates, stored: sshStored(),
		events: eventTypes{event.SSHUserCertificateCreated, event.SSHUserCertificateUpdated, event.SSHUserCertificateDeleted},
		build: func(d *draft, by Caller, row *store.SSHCertificate, c resource.SSHUserCertificateCreate) error {
			row.Description, row.Metadata = c.Description, c.Metadata
			row.Authority, row.PublicKey, row.Principals = c.SSHCertificateAuthorityID, c.PublicKey, slices.Clone(c.Principals)
			row.CriticalOptions, row.Extensions = maps.Clone(c.CriticalOptions), maps.Clone(c.Extensions)
			if c.Extensions == nil {
				row.Extensions = map[string]string{"permit-pty": "", "permit-user-rc": ""}
			}
			row.ValidAfter, row.ValidUntil = validity(d, c.ValidAfter, c.ValidUntil, func(from time.Time) time.Time { return from.Add(userLife) })
			return s.signSSH(d, by, row, sshca.Users)
		},
		change: func(_ *draft, _ Caller, row *store.SSHCertificate, u resource.SSHUserCertificateUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			return nil
		},
		show: func(_ reader, row *store.SSHCertificate) (resource.SSHUserCertificate, error) {
			return resource.SSHUserCertificate{
				Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta), PublicKey: row.PublicKey, KeyType: row.KeyType,
				SSHCertificateAuthorityID: row.Authority, Principals: append([]string{}, row.Principals...),
				CriticalOptions: orEmpty(row.CriticalOptions), Extensions: orEmpty(row.Extensions),
				ValidAfter: resource.Moment(row.ValidAfter), ValidUntil: resource.Moment(row.ValidUntil), Certificate: row.Certificate,
			}, nil
		},
	}
}

func sshStored() map[string]string {
	return map[string]string{
		"ssh_certificate_authority_id": "authority_id", "public_key": "public_key", "key_type": "key_type",
		"valid_after": "valid_after", "valid_until": "valid_until", "certificate": "certificate",
	}
}

// validity fills in what of the times is not given. Certificates know whole seconds.
func validity(d *draft, after, until time.Time, life func(time.Time) time.Time) (from, to time.Time) {
	if after.IsZero() {
		after = d.now
	}
	after = resource.Moment(after)
	if until.IsZero() {
		until = life(after)
	}
	return after, resource.Moment(until)
}

// signSSH makes the certificate of a row that has everything else.
func (s *Service) signSSH(d *draft, by Caller, row *store.SSHCertificate, of sshca.For) error {
	key, kind, err := sshca.PublicKey(row.PublicKey)
	if err != nil {
		return err
	}
	row.KeyType = kind
	certificate := sshca.Certificate{
		For: of, Key: key, ID: row.ID, Principals: row.Principals, ValidAfter: row.ValidAfter, ValidUntil: row.ValidUntil,
		CriticalOptions: row.CriticalOptions, Extensions: row.Extensions,
	}
	if err := certificate.Check(); err != nil {
		return err
	}
	unknown := postern.CodeSSHUserAuthorityUnknown
	if of == sshca.Hosts {
		unknown = postern.CodeSSHHostAuthorityUnknown
	}
	authority, err := s.sshSigner(d, by, row.Authority, unknown)
	if err != nil {
		return err
	}
	row.Certificate, err = certificate.Sign(authority)
	return err
}

// orEmpty is what JSON shows of a map: {}, not null.
func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
