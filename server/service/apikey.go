package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

const apiKeyPrefix = "ak"

// AuthenticateKey returns the caller that an API key stands for, which has the role of the
// key's owner; Addr and Source are the transport's to fill. A key without the shape of one
// is CodeKeyMalformed; an unknown one, or one whose secret is wrong, CodeKeyInvalid, and
// the answer does not tell which; one whose owner is not active, CodeOwnerInactive. A
// store that does not answer is CodeStoreUnavailable.
func (s *Service) AuthenticateKey(ctx context.Context, key postern.Secret) (Caller, error) {
	id, hash, ok := parseToken(key, apiKeyPrefix)
	if !ok {
		return Caller{}, postern.Errorf(postern.CodeKeyMalformed,
			"the API key must be %d letters and digits, an underscore, and %d more", idLength, secretLength)
	}
	var stored store.APIKey
	var owner store.User
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		if stored, err = tx.APIKeys().Get(ctx, "", id); err != nil {
			return err
		}
		owner, err = tx.Users().Get(ctx, stored.Account, string(stored.Owner))
		return err
	})
	if err != nil && !postern.HasCode(err, postern.CodeNotFound) {
		return Caller{}, err
	}
	// As in Authenticate, unknown keys are compared too, with nobody's hash.
	match := admits(hash, stored.Verifier, stored.Rotation, s.now())
	if !match || err != nil {
		return Caller{}, postern.Errorf(postern.CodeKeyInvalid, "the API key is not valid on this server")
	}
	if !owner.Serves() {
		return Caller{}, postern.Errorf(postern.CodeOwnerInactive, "%s, the owner of the API key, is not active", owner.ID)
	}
	return Caller{Account: stored.Account, Principal: stored.Owner, Role: owner.Role, Key: postern.APIKeyID(stored.ID)}, nil
}

// APIKeys are the use cases of API keys. Who may not administer the account makes, changes
// and deletes their own.
type APIKeys struct {
	Collection[store.APIKey, resource.APIKey, resource.APIKeyCreate, resource.APIKeyUpdate, *store.APIKey]
}

// APIKeys returns the use cases of API keys.
func (s *Service) APIKeys() *APIKeys {
	return &APIKeys{Collection[store.APIKey, resource.APIKey, resource.APIKeyCreate, resource.APIKeyUpdate, *store.APIKey]{
		service: s, definition: resource.APIKeys().Definition, rows: store.Tx.APIKeys,
		events: eventTypes{event.APIKeyCreated, event.APIKeyUpdated, event.APIKeyDeleted},
		build: func(d *draft, by Caller, row *store.APIKey, c resource.APIKeyCreate) error {
			owner, err := d.ownerFor(by, ownerChoice{id: c.OwnerID, email: c.OwnerEmail})
			if err != nil {
				return err
			}
			if err := by.mayActAs(owner); err != nil {
				return err
			}
			row.Owner, row.Description, row.Metadata = postern.UserID(owner.ID), c.Description, c.Metadata
			if err := checkKeyTexts(row); err != nil {
				return err
			}
			count, err := d.APIKeys().Count(d.ctx, row.Account, nil)
			if err != nil {
				return err
			}
			return s.roomForKey(count, postern.CodeAPIKeyLimit, "API keys")
		},
		change: func(_ *draft, by Caller, row *store.APIKey, u resource.APIKeyUpdate) error {
			if err := by.mayChangeOf(row.Owner); err != nil {
				return err
			}
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			if err := checkKeyTexts(row); err != nil {
				return err
			}
			return sameOwner(postern.CodeAPIKeyOwnerFixed, row.Owner, u.OwnerID)
		},
		release: func(_ *draft, by Caller, row *store.APIKey) error { return by.mayChangeOf(row.Owner) },
		show:    func(_ reader, row *store.APIKey) (resource.APIKey, error) { return s.showAPIKey(row), nil },
		stored:  map[string]string{"owner_id": "owner_id"},
	}}
}

// Create makes an API key. The key itself is in the answer, and nowhere else.
func (k *APIKeys) Create(ctx context.Context, by Caller, c resource.APIKeyCreate) (resource.APIKey, error) {
	var token postern.Secret
	made, err := k.create(ctx, by, c, func(d *draft, by Caller, row *store.APIKey, c resource.APIKeyCreate) error {
		token, row.Verifier = newToken(row.ID)
		return k.build(d, by, row, c)
	})
	if err == nil {
		made.Token = shownOnce(token)
	}
	return made, err
}

// Rotate replaces the key itself, as Service.RotateAPIKey does; the new one is in the
// answer.
func (k *APIKeys) Rotate(ctx context.Context, by Caller, id string, r resource.Rotation) (resource.APIKey, error) {
	overlap, err := overlapOf(r)
	if err != nil {
		return resource.APIKey{}, err
	}
	row, token, err := k.service.RotateAPIKey(ctx, by, postern.APIKeyID(id), overlap)
	if err != nil {
		return resource.APIKey{}, err
	}
	shown := k.service.showAPIKey(&row)
	shown.Token = shownOnce(token)
	return shown, nil
}

// mayActAs refuses an API key for somebody who may do more than the caller.
func (c Caller) mayActAs(owner store.User) error {
	if owner.ID == string(c.Principal) || c.Role.MayGrant(owner.Role) {
		return nil
	}
	return postern.Errorf(postern.CodeOwnerNotPermitted, "the role %q does not allow to act for %s, whose role is %q", c.Role, owner.ID, owner.Role)
}

func (s *Service) showAPIKey(row *store.APIKey) resource.APIKey {
	owner := string(row.Owner)
	return resource.APIKey{Identity: s.identity(resource.APIKeys().Definition, &row.Meta), Notes: notes(&row.Meta), OwnerID: &owner}
}

// shownOnce is a token in the answer that it is shown in.
func shownOnce(token postern.Secret) *string {
	text := token.Reveal()
	return &text
}

func checkKeyTexts(row *store.APIKey) error {
	if len(row.Description) > maxDescription {
		return postern.Errorf(postern.CodeAPIKeyDescriptionTooLong, "description has %d bytes, at most %d are allowed", len(row.Description), maxDescription)
	}
	if len(row.Metadata) > maxMetadata {
		return postern.Errorf(postern.CodeAPIKeyMetadataTooLong, "metadata has %d bytes, at most %d are allowed", len(row.Metadata), maxMetadata)
	}
	return nil
}

// roomForKey refuses one key more than an account may have of a kind, of which it has
// count.
func (s *Service) roomForKey(count int64, code postern.Code, what string) error {
	if count < int64(s.maxKeys) {
		return nil
	}
	return postern.Errorf(code, "the account has %d %s, which is as many as it may have", count, what)
}
