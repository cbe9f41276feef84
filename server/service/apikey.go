package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

const apiKeyPrefix = "ak"

// AuthenticateKey returns the caller that an API key stands for; Addr and Source are the
// transport's to fill. A key without the shape of one is CodeKeyMalformed; an unknown one,
// or one whose secret is wrong, CodeKeyInvalid, and the answer does not tell which. A
// store that does not answer is CodeStoreUnavailable.
func (s *Service) AuthenticateKey(ctx context.Context, key postern.Secret) (Caller, error) {
	id, hash, ok := parseToken(key, apiKeyPrefix)
	if !ok {
		return Caller{}, postern.Errorf(postern.CodeKeyMalformed,
			"the API key must be %d letters and digits, an underscore, and %d more", idLength, secretLength)
	}
	var stored store.APIKey
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		stored, err = tx.APIKeys().Get(ctx, postern.APIKeyID(id))
		return err
	})
	if err != nil && !postern.HasCode(err, postern.CodeNotFound) {
		return Caller{}, err
	}
	// As in Authenticate, unknown keys are compared too, with nobody's hash.
	match := admits(hash, stored.Verifier, stored.Rotation, s.now())
	if !match || stored.ID == "" {
		return Caller{}, postern.Errorf(postern.CodeKeyInvalid, "the API key is not valid on this server")
	}
	return Caller{Account: stored.Account, Principal: stored.Owner, Role: postern.Owner, Key: stored.ID}, nil
}

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
		_, err := d.Users().Get(d.ctx, by.Account, string(n.Owner))
		if err != nil {
			return err
		}
		key = store.APIKey{Account: by.Account, Owner: n.Owner, Description: n.Description, Metadata: n.Metadata}
		token, err = d.createAPIKey(by, &key)
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
		key, err := d.APIKeys().Get(d.ctx, id)
		if err != nil {
			return err
		}
		if err := by.mayReplace("API key", string(id), key.Account, key.Owner); err != nil {
			return err
		}
		if err := d.APIKeys().Delete(d.ctx, id); err != nil {
			return err
		}
		return d.recordBy(by, event.APIKeyDeleted, key.Account, string(id), showAPIKey(key))
	})
}

// APIKey returns an API key, or CodeNotFound.
func (s *Service) APIKey(ctx context.Context, id postern.APIKeyID) (key store.APIKey, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		key, err = tx.APIKeys().Get(ctx, id)
		return err
	})
	return key, err
}

// APIKeys returns up to limit keys of every account whose id is greater than after, by
// id.
func (s *Service) APIKeys(ctx context.Context, after postern.APIKeyID, limit int) (keys []store.APIKey, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		keys, err = tx.APIKeys().List(ctx, after, limit)
		return err
	})
	return keys, err
}
