package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// NewCredential is what the server itself makes a credential from.
type NewCredential struct {
	Account     postern.AccountID
	Owner       postern.UserID
	Description string   // up to 255 bytes
	Metadata    string   // up to 4096 bytes, for programs
	ACL         []string // rules; empty allows everything
}

// CreateCredential makes a credential that no caller asked for, and returns it with its
// token, which is not kept anywhere. Errors: CodeACLInvalid, CodeFieldInvalid,
// CodeNotFound for an account or owner that does not exist.
func (s *Service) CreateCredential(ctx context.Context, n NewCredential) (postern.Credential, postern.Secret, error) {
	acl, err := parseACL(n.ACL)
	if err != nil {
		return postern.Credential{}, "", err
	}
	if err := checkTexts(n.Description, n.Metadata); err != nil {
		return postern.Credential{}, "", err
	}
	var credential postern.Credential
	var token postern.Secret
	err = s.change(ctx, func(d *draft) error {
		if _, err := d.Users().Get(d.ctx, n.Account, string(n.Owner)); err != nil {
			return err
		}
		account, err := d.Accounts().Get(d.ctx, n.Account)
		if err != nil {
			return err
		}
		credential = postern.Credential{
			Account: n.Account, Owner: n.Owner, Description: n.Description, Metadata: n.Metadata, ACL: acl,
		}
		token, err = s.createCredential(d, account, &credential)
		return err
	})
	if err != nil {
		return postern.Credential{}, "", err
	}
	return credential, token, nil
}

// CredentialUpdate is what changes of a credential; what is nil stays.
type CredentialUpdate struct {
	Description *string
	Metadata    *string
	ACL         *[]string // an empty one takes every limit away
}

// UpdateCredential changes a valid credential for the server itself, as Credentials.Update
// does for a caller, and returns it as it is now. Errors: CodeNotFound, CodeACLInvalid,
// CodeFieldInvalid.
func (s *Service) UpdateCredential(ctx context.Context, id postern.CredentialID, u CredentialUpdate) (postern.Credential, error) {
	var updated postern.Credential
	err := s.change(ctx, func(d *draft) error {
		row, err := d.validCredential(id)
		if err != nil {
			return err
		}
		row.UpdatedAt = d.now
		if err := s.changeCredential(d, Caller{}, &row, u); err != nil {
			return err
		}
		if err := checkTexts(row.Description, row.Metadata); err != nil {
			return err
		}
		if err := d.Credentials().Update(d.ctx, row); err != nil {
			return err
		}
		updated = row.Credential()
		return d.record(event.CredentialUpdated, row.Account, row.ID, s.showCredential(&row))
	})
	if err != nil {
		return postern.Credential{}, err
	}
	return updated, nil
}

// RevokeCredential ends a credential for the server itself, as Credentials.Delete does for
// a caller. One that does not exist or was revoked before is CodeNotFound: of two who
// revoke, one succeeds.
func (s *Service) RevokeCredential(ctx context.Context, id postern.CredentialID) error {
	return s.change(ctx, func(d *draft) error {
		row, err := d.validCredential(id)
		if err != nil {
			return err
		}
		if err := s.revoke(d, &row); err != nil {
			return err
		}
		return d.record(event.CredentialRevoked, row.Account, row.ID, s.showCredential(&row))
	})
}

// Credential returns a valid credential; one that does not exist or was revoked is
// CodeNotFound.
func (s *Service) Credential(ctx context.Context, id postern.CredentialID) (postern.Credential, error) {
	var row store.Credential
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		row, err = tx.Credentials().Get(ctx, "", string(id))
		return err
	})
	if err == nil && row.Revoked() {
		err = wasRevoked(id)
	}
	if err != nil {
		return postern.Credential{}, err
	}
	return row.Credential(), nil
}

// CredentialInForce returns what live sessions of a credential may do now: as the store
// has it, or, while that does not answer, as this process remembers it. The store may
// then know better, and whoever must not miss that asks again. A revoked
// credential is CodeNotFound; one whose owner is not active, CodeOwnerInactive; one that
// is neither stored nor remembered, while the store does not answer,
// CodeStoreUnavailable.
func (s *Service) CredentialInForce(ctx context.Context, id postern.CredentialID) (c postern.Credential, remembered bool, err error) {
	found, remembered, err := s.find(ctx, id)
	switch {
	case err != nil:
		return postern.Credential{}, remembered, err
	case found.credential.ID == "" || found.revoked:
		return postern.Credential{}, remembered, wasRevoked(id)
	case found.idle:
		return postern.Credential{}, remembered, ownerInactive(found.credential.Owner)
	}
	return found.credential, remembered, nil
}

// KnownCredential returns a valid credential from this process's memory, without waiting
// for the store: every change that this process made is in it.
func (s *Service) KnownCredential(id postern.CredentialID) (postern.Credential, bool) {
	h, ok := s.known.holder(id)
	if !ok || h.revoked || h.idle {
		return postern.Credential{}, false
	}
	return h.credential, true
}

// KnownOwner returns the owner of a credential that is in this process's memory, revoked
// or not.
func (s *Service) KnownOwner(id postern.CredentialID) (postern.UserID, bool) {
	h, ok := s.known.holder(id)
	return h.credential.Owner, ok && h.credential.Owner != ""
}

// Account returns an account, or CodeNotFound.
func (s *Service) Account(ctx context.Context, id postern.AccountID) (postern.Account, error) {
	var account postern.Account
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		account, err = tx.Accounts().Get(ctx, id)
		return err
	})
	return account, err
}
