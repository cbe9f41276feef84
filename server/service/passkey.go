package service

import (
	"bytes"
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// mostPasskeys is how many passkeys a person may have.
const mostPasskeys = 20

// AddPasskey keeps a passkey of the caller's own, which somebody else has verified. Its
// Meta is filled here but for the description. Errors: CodeConflict for one that is known
// already, CodeFieldInvalid.
func (s *Service) AddPasskey(ctx context.Context, by Caller, key store.Passkey) (store.Passkey, error) {
	if err := by.may(postern.Read); err != nil {
		return key, err
	}
	if len(key.CredentialID) == 0 || len(key.PublicKey) == 0 {
		return key, postern.Errorf(postern.CodeFieldInvalid, "a passkey needs a credential id and a public key")
	}
	if err := checkTexts(key.Description, key.Metadata); err != nil {
		return key, err
	}
	err := s.change(ctx, func(d *draft) error {
		user, err := person(d.ctx, d.Tx, by.Account, by.Principal)
		if err != nil {
			return err
		}
		present, err := passkeysOf(d.ctx, d.Tx, user)
		if err != nil {
			return err
		}
		if len(present) >= mostPasskeys {
			return postern.Errorf(postern.CodeFieldInvalid, "%s has %d passkeys, which is as many as one may have", user.ID, len(present))
		}
		key.ID, key.Account, key.User = newID("pk", d.now), user.Account, by.Principal
		key.CreatedAt, key.UpdatedAt = d.now, d.now
		if err := d.Passkeys().Create(d.ctx, key); err != nil {
			return err
		}
		return d.recordBy(by, event.PasskeyCreated, user.Account, key.ID, showPasskey(key))
	})
	return key, err
}

// Passkeys returns the passkeys of the person with an address, who is about to sign in;
// none for nobody, and for people who may not.
func (s *Service) Passkeys(ctx context.Context, email string) (store.User, []store.Passkey, error) {
	email, err := parseEmail(email)
	if err != nil || email == "" {
		return store.User{}, nil, nil //nolint:nilerr // nobody has it
	}
	user, err := s.byEmail(ctx, email)
	if err != nil || user.ID == "" || !user.Serves() {
		return store.User{}, nil, err
	}
	var keys []store.Passkey
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		keys, err = passkeysOf(ctx, tx, user)
		return err
	})
	return user, keys, err
}

// PasskeyUsed notes that somebody has signed in with a passkey, as key says it is now,
// and returns the caller that it stands for. CodeLoginInvalid says that the person may
// not sign in any more, or that the counter went back: the key may have been copied.
func (s *Service) PasskeyUsed(ctx context.Context, key store.Passkey) (Caller, error) {
	var by Caller
	err := s.change(ctx, func(d *draft) error {
		stored, err := d.Passkeys().Get(d.ctx, key.Account, key.ID)
		if err != nil {
			return err
		}
		user, err := person(d.ctx, d.Tx, stored.Account, stored.User)
		if err != nil {
			return err
		}
		// Authenticators without a counter always say 0 (WebAuthn level 3, §7.2).
		backwards := key.SignCount <= stored.SignCount && (key.SignCount > 0 || stored.SignCount > 0)
		if !user.Serves() || backwards || !bytes.Equal(stored.CredentialID, key.CredentialID) {
			return loginInvalid()
		}
		stored.SignCount, stored.CloneWarning, stored.Flags = key.SignCount, key.CloneWarning, key.Flags
		stored.UsedAt, stored.UpdatedAt = d.now, d.now
		by = Caller{Account: user.Account, Principal: postern.UserID(user.ID), Role: user.Role, Source: SourceDashboard}
		return d.Passkeys().Update(d.ctx, stored)
	})
	if err != nil {
		return Caller{}, err
	}
	return by, nil
}

// RemovePasskey forgets a passkey of the caller's own, or of somebody whom the caller
// administers.
func (s *Service) RemovePasskey(ctx context.Context, by Caller, id string) error {
	if err := by.may(postern.Read); err != nil {
		return err
	}
	return s.change(ctx, func(d *draft) error {
		key, err := d.Passkeys().Get(d.ctx, by.Account, id)
		if err != nil {
			return err
		}
		if key.User != by.Principal {
			user, err := d.Users().Get(d.ctx, by.Account, string(key.User))
			if err != nil {
				return err
			}
			if err := by.mayGive(user.Role); err != nil {
				return err
			}
		}
		if err := d.Passkeys().Delete(d.ctx, by.Account, id); err != nil {
			return err
		}
		return d.recordBy(by, event.PasskeyDeleted, key.Account, key.ID, showPasskey(key))
	})
}

// forgetPasskeys removes all of a person's.
func (d *draft) forgetPasskeys(user store.User) error {
	keys, err := passkeysOf(d.ctx, d.Tx, user)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if err := d.Passkeys().Delete(d.ctx, user.Account, key.ID); err != nil {
			return err
		}
	}
	return nil
}

func passkeysOf(ctx context.Context, tx store.Tx, user store.User) ([]store.Passkey, error) {
	return tx.Passkeys().List(ctx, store.Page{Account: user.Account, Limit: mostPasskeys, Where: store.Equal("user_id", user.ID)})
}
