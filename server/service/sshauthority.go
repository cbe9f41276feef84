package service

import (
	"context"
	"crypto"
	"crypto/x509"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/pki/sshca"
	"github.com/postern-dev/postern/server/store"
)

type sshAuthorities = Collection[store.SSHCertificateAuthority, resource.SSHCertificateAuthority, resource.SSHCertificateAuthorityCreate, resource.SSHCertificateAuthorityUpdate, *store.SSHCertificateAuthority]

// SSHCertificateAuthorities are the use cases of SSH certificate authorities.
type SSHCertificateAuthorities struct{ *sshAuthorities }

// sealedAuthority is where the keys of SSH authorities are sealed. It may not change.
const sealedAuthority = "ssh_certificate_authority"

// SSHCertificateAuthorities returns the use cases of SSH certificate authorities.
func (s *Service) SSHCertificateAuthorities() *SSHCertificateAuthorities {
	definition := resource.SSHCertificateAuthorities().Definition
	return &SSHCertificateAuthorities{&sshAuthorities{
		service: s, definition: definition, rows: store.Tx.SSHCertificateAuthorities,
		stored: map[string]string{"key_type": "key_type", "public_key": "public_key"},
		events: eventTypes{event.SSHCertificateAuthorityCreated, event.SSHCertificateAuthorityUpdated, event.SSHCertificateAuthorityDeleted},
		change: func(_ *draft, _ Caller, row *store.SSHCertificateAuthority, u resource.SSHCertificateAuthorityUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			return nil
		},
		release: releaseSSHAuthority,
		show: func(_ reader, row *store.SSHCertificateAuthority) (resource.SSHCertificateAuthority, error) {
			return resource.SSHCertificateAuthority{
				Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta), PublicKey: row.PublicKey, KeyType: row.KeyType,
			}, nil
		},
	}}
}

// Create makes an authority. It waits while another one's key is being made.
func (k *SSHCertificateAuthorities) Create(ctx context.Context, by Caller, c resource.SSHCertificateAuthorityCreate) (shown resource.SSHCertificateAuthority, err error) {
	if err := k.mayChange(by); err != nil {
		return shown, err
	}
	wanted, err := sshca.Parameters{Type: c.PrivateKeyType, Curve: c.EllipticCurve, Size: c.KeySize}.Normalize()
	if err != nil {
		return shown, err
	}
	if err := checkTexts(c.Description, c.Metadata); err != nil {
		return shown, err
	}
	key, err := k.service.generate(ctx, wanted)
	if err != nil {
		return shown, err
	}
	making := *k.sshAuthorities
	making.build = func(d *draft, _ Caller, row *store.SSHCertificateAuthority, c resource.SSHCertificateAuthorityCreate) error {
		row.Description, row.Metadata, row.KeyType = c.Description, c.Metadata, wanted.Type
		plain, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return postern.Errorf(postern.CodeInternal, "the authority's key cannot be stored").Because(err)
		}
		if row.PublicKey, err = sshca.AuthorizedKey(key); err != nil {
			return err
		}
		row.PrivateKey, err = k.service.seal(d, sealedAuthority, row.ID, sealedKey, plain)
		return err
	}
	return making.Create(ctx, by, c)
}

// generate makes a key, outside of any transaction: one of RSA takes seconds. One is made
// at a time, so that callers cannot have more than one processor busy with it.
func (s *Service) generate(ctx context.Context, wanted sshca.Parameters) (crypto.Signer, error) {
	select {
	case s.generating <- struct{}{}:
		defer func() { <-s.generating }()
	case <-ctx.Done():
		return nil, postern.Errorf(postern.CodeServerBusy, "other keys are being made").Because(ctx.Err())
	}
	key, err := wanted.Generate()
	if err != nil {
		return nil, postern.Errorf(postern.CodeInternal, "the authority's key cannot be made").Because(err)
	}
	return key, nil
}

func releaseSSHAuthority(d *draft, _ Caller, row *store.SSHCertificateAuthority) error {
	of := store.Page{Account: row.Account, Limit: 1, Where: store.Equal("authority_id", row.ID)}
	for _, rows := range []store.Rows[store.SSHCertificate]{d.SSHHostCertificates(), d.SSHUserCertificates()} {
		signed, err := rows.List(d.ctx, of)
		if err != nil {
			return err
		}
		if len(signed) > 0 {
			return postern.Errorf(postern.CodeSSHAuthorityInUse, "the certificate %s was signed by this authority", signed[0].ID)
		}
	}
	return nil
}

// sshSigner opens an authority's key. One that is not there is unknown.
func (s *Service) sshSigner(d *draft, by Caller, id string, unknown postern.Code) (crypto.Signer, error) {
	row, err := d.SSHCertificateAuthorities().Get(d.ctx, by.Account, id)
	if postern.HasCode(err, postern.CodeNotFound) {
		return nil, postern.Errorf(unknown, "there is no SSH certificate authority %q", clip(id))
	}
	if err != nil {
		return nil, err
	}
	plain, err := s.unseal(sealedAuthority, row.ID, sealedKey, row.PrivateKey)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if signer, is := key.(crypto.Signer); is && err == nil {
		return signer, nil
	}
	return nil, postern.Errorf(postern.CodeInternal, "the stored key of the authority %s cannot be read", row.ID).Because(err)
}
