package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// NewAPIKey is what an API key is made from.
type NewAPIKey struct {
	Owner       postern.UserID // of the caller's account
	Description string         // up to 255 bytes
	Metadata    string         // up to 4096 bytes, for programs
}

// CreateAPIKey makes an API key of the caller's account and returns it with the key
// itself, which is not kept anywhere. One for somebody else needs an administrator.
// Errors: CodeNotPermitted, CodeFieldInvalid, CodeNotFound for an owner that the account
// does not have.
func (s *Service) CreateAPIKey(ctx context.Context, by Caller, n NewAPIKey) (store.APIKey, postern.Secret, error) {
	var key store.APIKey
	var token postern.Secret
	if err := by.mayReplace("user", string(n.Owner), by.Account, n.Owner); err != nil {
		return key, "", err
	}
	if err := checkTexts(n.Description, n.Metadata); err != nil {
		return key, "", err
	}
	err := s.change(ctx, func(d *draft) error {
		owner, err := d.Users().Get(d.ctx, by.Account, string(n.Owner))
		if err != nil {
			return err
		}
		if err := by.mayActAs(owner); err != nil {
			return err
		}
		key = store.APIKey{Meta: store.Meta{Account: by.Account, Description: n.Description, Metadata: n.Metadata}, Owner: n.Owner}
		token, err = s.createAPIKey(d, by, &key)
		return err
	})
	if err != nil {
		return store.APIKey{}, "", err
	}
	return key, token, nil
}

// DeleteAPIKey ends an API key for good. Errors: CodeNotFound, CodeNotPermitted.
func (s *Service) DeleteAPIKey(ctx context.Context, by Caller, id postern.APIKeyID) error {
	return s.change(ctx, func(d *draft) error {
		key, err := d.APIKeys().Get(d.ctx, "", string(id))
		if err != nil {
			return err
		}
		if err := by.mayReplace("API key", string(id), key.Account, key.Owner); err != nil {
			return err
		}
		if err := d.APIKeys().Delete(d.ctx, key.Account, key.ID); err != nil {
			return err
		}
		return d.recordBy(by, event.APIKeyDeleted, key.Account, key.ID, s.showAPIKey(&key))
	})
}

// APIKey returns an API key, or CodeNotFound.
func (s *Service) APIKey(ctx context.Context, id postern.APIKeyID) (key store.APIKey, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		key, err = tx.APIKeys().Get(ctx, "", string(id))
		return err
	})
	return key, err
}

// ListAPIKeys returns up to limit keys of every account, the newest first; those behind
// the id before, if that is not empty.
func (s *Service) ListAPIKeys(ctx context.Context, before string, limit int) (keys []store.APIKey, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		keys, err = tx.APIKeys().List(ctx, store.Page{Before: before, Limit: limit})
		return err
	})
	return keys, err
}

// ListCredentials does that for valid credentials.
func (s *Service) ListCredentials(ctx context.Context, before string, limit int) (list []postern.Credential, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		rows, err := tx.Credentials().List(ctx, store.Page{Before: before, Limit: limit, Where: store.Equal("revoked_at", nil)})
		list = make([]postern.Credential, len(rows))
		for i, row := range rows {
			list[i] = row.Credential()
		}
		return err
	})
	return list, err
}
