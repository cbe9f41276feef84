package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

const credentialPrefix = "cr"

// Authenticate returns the credential and the account that a token belongs to. A token
// without the shape of one is CodeTokenMalformed; an unknown or revoked one, or one
// whose secret is wrong, CodeTokenInvalid, and the answer does not tell which; one whose
// owner is not active, CodeOwnerInactive. While
// the store is down, credentials that this process knows are admitted and all others
// are CodeStoreUnavailable.
func (s *Service) Authenticate(ctx context.Context, token postern.Secret) (postern.Credential, postern.Account, error) {
	id, hash, ok := parseToken(token, credentialPrefix)
	if !ok {
		return postern.Credential{}, postern.Account{}, postern.Errorf(postern.CodeTokenMalformed,
			"the authtoken must be %d letters and digits, an underscore, and %d more", idLength, secretLength)
	}
	holder, err := s.holder(ctx, postern.CredentialID(id))
	if err != nil {
		return postern.Credential{}, postern.Account{}, err
	}
	// The comparison happens for unknown credentials too (with a verifier of zeros, which
	// is nobody's hash), so that time does not tell which ids exist.
	match := admits(hash, holder.credential.Verifier, holder.credential.Rotation, s.now())
	if !match || holder.credential.ID == "" || holder.revoked {
		return postern.Credential{}, postern.Account{}, postern.Errorf(postern.CodeTokenInvalid, "the authtoken is not valid on this server")
	}
	if holder.idle {
		return postern.Credential{}, postern.Account{}, ownerInactive(holder.credential.Owner)
	}
	return holder.credential, holder.account, nil
}

func ownerInactive(owner postern.UserID) error {
	return postern.Errorf(postern.CodeOwnerInactive, "%s, the owner of the authtoken, is not active", owner)
}

// holder finds a credential in the store, or in memory when the store does not answer.
// One that does not exist is the zero value.
func (s *Service) holder(ctx context.Context, id postern.CredentialID) (holder, error) {
	found, _, err := s.find(ctx, id)
	return found, err
}

// find is holder, and tells whether what it found comes from memory.
func (s *Service) find(ctx context.Context, id postern.CredentialID) (found holder, remembered bool, err error) {
	row := func(ctx context.Context, tx store.Tx) (holder, error) {
		row, err := tx.Credentials().Get(ctx, "", string(id))
		return holder{credential: row.Credential(), revoked: row.Revoked()}, err
	}
	if isSSHCredential(id) {
		row = func(ctx context.Context, tx store.Tx) (holder, error) {
			row, err := tx.SSHCredentials().Get(ctx, "", string(id))
			return keyHolder(row), err
		}
	}
	return s.lookUp(ctx, row, func() (holder, bool) { return s.known.holder(id) })
}

// lookUp finds a credential by its row, or in memory when the store does not answer.
func (s *Service) lookUp(ctx context.Context, row func(context.Context, store.Tx) (holder, error), known func() (holder, bool)) (found holder, remembered bool, err error) {
	since := s.known.now()
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		var err error
		if found, err = row(ctx, tx); err != nil {
			return err
		}
		if found.account, err = tx.Accounts().Get(ctx, found.credential.Account); err != nil {
			return err
		}
		owner, err := tx.Users().Get(ctx, found.credential.Account, string(found.credential.Owner))
		found.idle = !owner.Serves()
		return err
	})
	switch {
	case err == nil:
		return s.known.learn(found, since), false, nil
	case postern.HasCode(err, postern.CodeNotFound):
		return holder{}, false, nil
	}
	if known, ok := known(); ok {
		s.logger.WarnContext(ctx, "store down, credential taken from memory", "credential", known.credential.ID, "error", err)
		return known, true, nil
	}
	return holder{}, false, err
}
