package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func credentials() kind[store.Credential, *store.Credential] {
	return kind[store.Credential, *store.Credential]{
		rows: store.Tx.Credentials,
		fill: func(_ context.Context, _ store.Tx, c *store.Credential, n int) (err error) {
			c.Owner, c.Verifier = ownerOf(c.Account), [32]byte{byte(n), 255, 31: 7}
			c.ACL, err = postern.ParseACL([]string{"bind:*.c1.example.com", "access:office:22"})
			return err
		},
		change: func(c *store.Credential) {
			c.ACL, c.Verifier, c.RevokedAt = nil, [32]byte{1}, c.UpdatedAt
			c.Rotation = postern.Rotation{At: c.UpdatedAt, Previous: [32]byte{31: 9}, Until: c.UpdatedAt.Add(time.Hour)}
		},
	}
}

func apiKeys() kind[store.APIKey, *store.APIKey] {
	return kind[store.APIKey, *store.APIKey]{
		rows: store.Tx.APIKeys,
		fill: func(_ context.Context, _ store.Tx, k *store.APIKey, n int) error {
			k.Owner, k.Verifier = ownerOf(k.Account), [32]byte{byte(n), 255, 31: 7}
			k.Rotation = postern.Rotation{At: k.CreatedAt, Previous: [32]byte{31: 9}, Until: k.CreatedAt.Add(time.Hour)}
			return nil
		},
		change: func(k *store.APIKey) {
			k.Verifier, k.Rotation = [32]byte{1}, postern.Rotation{At: k.UpdatedAt} // without an overlap
		},
	}
}

// ownerOf is the user that fixture.owner makes for an account.
func ownerOf(a postern.AccountID) postern.UserID {
	return postern.UserID("usr_" + strings.TrimPrefix(string(a), "ac_"))
}

func testReferences(t *testing.T, f *fixture) {
	c := f.owner(t, 1)
	orphan := errors.New("stop")
	for what, fn := range map[string]func(context.Context, store.Tx) error{
		"user": func(ctx context.Context, tx store.Tx) error {
			return tx.Users().Create(ctx, store.User{Meta: store.Meta{ID: "usr_x", Account: "ac_nobody", CreatedAt: f.now}})
		},
		"credential": func(ctx context.Context, tx store.Tx) error {
			other := c
			other.ID, other.Owner = "cr_x", "usr_nobody"
			return tx.Credentials().Create(ctx, store.CredentialOf(other))
		},
		"API key": func(ctx context.Context, tx store.Tx) error {
			return tx.APIKeys().Create(ctx, store.APIKey{Meta: store.Meta{ID: "ak_x", Account: "ac_nobody", CreatedAt: f.now}, Owner: c.Owner})
		},
	} {
		err := f.Write(t.Context(), func(tx store.Tx) error {
			if err := fn(t.Context(), tx); err != nil {
				return err
			}
			return orphan
		})
		if errors.Is(err, orphan) {
			t.Errorf("a %s without an owner was created", what)
			continue
		}
		fails(t, err, postern.CodeNotFound)
	}
}
