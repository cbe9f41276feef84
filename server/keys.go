package server

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// KeyKind is what a key lets in.
type KeyKind string

// The kinds of keys.
const (
	AuthtokenKey KeyKind = "authtoken" // an agent
	APIKey       KeyKind = "api_key"   // a program that uses the REST API
)

// Key is an authtoken or an API key as an operator on the server's machine sees it.
type Key struct {
	ID          string            `json:"id"`
	Kind        KeyKind           `json:"kind"`
	AccountID   postern.AccountID `json:"account_id"`
	OwnerID     postern.UserID    `json:"owner_id"`
	Description string            `json:"description"`
	ACL         []string          `json:"acl,omitempty"`
	CreatedAt   time.Time         `json:"created_at"`
	RotatedAt   time.Time         `json:"rotated_at,omitzero"`

	// PreviousUntil is when the token before this one ceases to be good; zero where there
	// is none that is.
	PreviousUntil time.Time `json:"previous_until,omitzero"`

	// Token is the key itself. It is there once, when it was made.
	Token string `json:"token,omitempty"`
}

// NewKey is what a key is made from.
type NewKey struct {
	Kind        KeyKind
	Owner       postern.UserID // empty: bootstrap's user
	Description string
	Metadata    string
	ACL         []string // of an authtoken
}

// keyPage is how many keys an errand returns at once.
const keyPage = 500

// ListKeys returns all keys that are good, authtokens first and the newest of each, without their tokens. Like
// everything on keys it asks the server that runs in c.DataDir, or does it itself when
// none does.
func ListKeys(ctx context.Context, c Config, logger *slog.Logger) ([]Key, error) {
	keys := []Key{}
	for after := ""; ; {
		page, err := listKeys().do(ctx, c, logger, after)
		if err != nil || len(page) == 0 {
			return keys, err
		}
		keys = append(keys, page...)
		after = page[len(page)-1].ID
	}
}

// CreateKey makes a key and returns it with its token.
func CreateKey(ctx context.Context, c Config, logger *slog.Logger, n NewKey) (Key, error) {
	return createKey().do(ctx, c, logger, n)
}

// RevokeKey ends a key for good.
func RevokeKey(ctx context.Context, c Config, logger *slog.Logger, id string) (Key, error) {
	return revokeKey().do(ctx, c, logger, id)
}

// RotateKey gives a key a new token and returns it; the one before it is good for overlap
// longer.
func RotateKey(ctx context.Context, c Config, logger *slog.Logger, id string, overlap time.Duration) (Key, error) {
	return rotateKey().do(ctx, c, logger, keyRotation{id, overlap})
}

// RetireKey ends the overlap of a rotation now.
func RetireKey(ctx context.Context, c Config, logger *slog.Logger, id string) (Key, error) {
	return retireKey().do(ctx, c, logger, id)
}

// offerKeys has the running server do all that.
func offerKeys(mux *http.ServeMux, s *Server) {
	listKeys().offer(mux, s)
	createKey().offer(mux, s)
	revokeKey().offer(mux, s)
	rotateKey().offer(mux, s)
	retireKey().offer(mux, s)
	rotateSealing().offer(mux, s)
	rotateCA().offer(mux, s)
	statusOfKeys().offer(mux, s)
}

type keyRotation struct {
	ID      string
	Overlap time.Duration
}

func listKeys() errand[string, []Key] {
	return errand[string, []Key]{path: "/keys/list", run: func(ctx context.Context, p premises, after string) ([]Key, error) {
		now := time.Now()
		var keys []Key
		if after == "" || isCredential(after) {
			credentials, err := p.service.ListCredentials(ctx, after, keyPage)
			if err != nil {
				return nil, err
			}
			for _, c := range credentials {
				keys = append(keys, credentialKey(c, now))
			}
			if len(keys) > 0 {
				return keys, nil
			}
			after = ""
		}
		apiKeys, err := p.service.ListAPIKeys(ctx, after, keyPage)
		for _, k := range apiKeys {
			keys = append(keys, apiKey(k, now))
		}
		return keys, err
	}}
}

func createKey() errand[NewKey, Key] {
	return errand[NewKey, Key]{path: "/keys/create", run: func(ctx context.Context, p premises, n NewKey) (Key, error) {
		owner, err := p.service.Owner(ctx, n.Owner)
		if err != nil {
			return Key{}, err
		}
		var key Key
		var token postern.Secret
		switch n.Kind {
		case AuthtokenKey:
			var c postern.Credential
			c, token, err = p.service.CreateCredential(ctx, service.NewCredential{
				Account: owner.Account, Owner: postern.UserID(owner.ID), Description: n.Description, Metadata: n.Metadata, ACL: n.ACL})
			key = credentialKey(c, time.Now())
		case APIKey:
			if len(n.ACL) > 0 {
				return Key{}, postern.Errorf(postern.CodeFieldInvalid, "an API key has no ACL; it may do what its owner may")
			}
			var k store.APIKey
			k, token, err = p.service.CreateAPIKey(ctx, operator(owner.Account), service.NewAPIKey{
				Owner: postern.UserID(owner.ID), Description: n.Description, Metadata: n.Metadata})
			key = apiKey(k, time.Now())
		default:
			return Key{}, postern.Errorf(postern.CodeFieldInvalid, "kind %q is not authtoken or api_key", n.Kind)
		}
		key.Token = token.Reveal()
		return key, err
	}}
}

func revokeKey() errand[string, Key] {
	return errand[string, Key]{path: "/keys/revoke", run: func(ctx context.Context, p premises, id string) (Key, error) {
		key, by, err := p.key(ctx, id)
		if err != nil {
			return Key{}, err
		}
		if key.Kind == AuthtokenKey {
			return key, p.service.RevokeCredential(ctx, postern.CredentialID(id))
		}
		return key, p.service.DeleteAPIKey(ctx, by, postern.APIKeyID(id))
	}}
}

func rotateKey() errand[keyRotation, Key] {
	return errand[keyRotation, Key]{path: "/keys/rotate", run: func(ctx context.Context, p premises, r keyRotation) (Key, error) {
		key, by, err := p.key(ctx, r.ID)
		if err != nil {
			return Key{}, err
		}
		var token postern.Secret
		if key.Kind == AuthtokenKey {
			var c postern.Credential
			c, token, err = p.service.RotateCredential(ctx, by, postern.CredentialID(r.ID), r.Overlap)
			key = credentialKey(c, time.Now())
		} else {
			var k store.APIKey
			k, token, err = p.service.RotateAPIKey(ctx, by, postern.APIKeyID(r.ID), r.Overlap)
			key = apiKey(k, time.Now())
		}
		key.Token = token.Reveal()
		return key, err
	}}
}

func retireKey() errand[string, Key] {
	return errand[string, Key]{path: "/keys/retire", run: func(ctx context.Context, p premises, id string) (Key, error) {
		key, by, err := p.key(ctx, id)
		if err != nil {
			return Key{}, err
		}
		if key.Kind == AuthtokenKey {
			c, err := p.service.EndCredentialOverlap(ctx, by, postern.CredentialID(id))
			return credentialKey(c, time.Now()), err
		}
		k, err := p.service.EndAPIKeyOverlap(ctx, by, postern.APIKeyID(id))
		return apiKey(k, time.Now()), err
	}}
}

// operator is who runs commands on the server's machine: whatever account it is about.
func operator(account postern.AccountID) service.Caller {
	return service.Caller{Account: account, Role: postern.Owner, Source: service.SourceServer}
}

// key finds a key by its id.
func (p premises) key(ctx context.Context, id string) (Key, service.Caller, error) {
	if isCredential(id) {
		c, err := p.service.Credential(ctx, postern.CredentialID(id))
		return credentialKey(c, time.Now()), operator(c.Account), err
	}
	if !strings.HasPrefix(id, "ak_") {
		return Key{}, service.Caller{}, postern.Errorf(postern.CodeNotFound, "%q is no id of a key: authtokens' begin with cr_, API keys' with ak_; \"postern server keys list\" shows them", clip(id))
	}
	k, err := p.service.APIKey(ctx, postern.APIKeyID(id))
	return apiKey(k, time.Now()), operator(k.Account), err
}

func isCredential(id string) bool { return strings.HasPrefix(id, "cr_") }

func credentialKey(c postern.Credential, now time.Time) Key {
	key := Key{ID: string(c.ID), Kind: AuthtokenKey, AccountID: c.Account, OwnerID: c.Owner,
		Description: c.Description, ACL: c.ACL.Strings(), CreatedAt: c.CreatedAt}
	key.rotated(c.Rotation, now)
	return key
}

func apiKey(k store.APIKey, now time.Time) Key {
	key := Key{ID: string(k.ID), Kind: APIKey, AccountID: k.Account, OwnerID: k.Owner,
		Description: k.Description, CreatedAt: k.CreatedAt}
	key.rotated(k.Rotation, now)
	return key
}

func (k *Key) rotated(r postern.Rotation, now time.Time) {
	k.RotatedAt = r.At
	if r.Overlaps(now) {
		k.PreviousUntil = r.Until
	}
}
