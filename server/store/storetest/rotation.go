package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func testRotate(t *testing.T, f *fixture) {
	c := f.owner(t, 1)
	key := store.APIKey{ID: "ak_1", Account: c.Account, Owner: c.Owner, Verifier: [32]byte{1}, CreatedAt: f.now}
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.APIKeys().Create(ctx, key) })
	for _, r := range []postern.Rotation{
		{At: f.now, Previous: [32]byte{31: 9}, Until: f.now.Add(time.Hour)},
		{At: f.now.Add(time.Minute)}, // without an overlap
		{At: f.now.Add(2 * time.Minute), Previous: [32]byte{}, Until: f.now},
	} {
		verifier := [32]byte{5, byte(r.At.Minute())}
		f.write(t, func(ctx context.Context, tx store.Tx) error {
			if err := tx.Credentials().Rotate(ctx, c.ID, verifier, r); err != nil {
				return err
			}
			return tx.APIKeys().Rotate(ctx, key.ID, verifier, r)
		})
		c.Verifier, c.Rotation, key.Verifier, key.Rotation = verifier, r, verifier, r
		f.read(t, func(ctx context.Context, tx store.Tx) error {
			got, err := tx.Credentials().Get(ctx, c.ID)
			if err != nil {
				return err
			}
			sameCredential(t, c, got.Credential)
			all, err := tx.Credentials().List(ctx, "", 2)
			if err != nil || len(all) != 1 {
				t.Fatalf("%d credentials, %v", len(all), err)
			}
			sameCredential(t, c, all[0])
			gotKey, err := tx.APIKeys().Get(ctx, key.ID)
			if diff := cmp.Diff(key, gotKey); diff != "" {
				t.Errorf("API key (-want +got):\n%s", diff)
			}
			return err
		})
	}
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Credentials().Revoke(ctx, c.ID, f.now) })
	fails(t, f.Write(t.Context(), func(tx store.Tx) error {
		return tx.Credentials().Rotate(t.Context(), c.ID, c.Verifier, c.Rotation)
	}), postern.CodeNotFound)
	fails(t, f.Write(t.Context(), func(tx store.Tx) error {
		return tx.APIKeys().Rotate(t.Context(), "ak_nobody", c.Verifier, c.Rotation)
	}), postern.CodeNotFound)
	testKeyPages(t, f, c)
}

// testKeyPages lists and deletes keys.
func testKeyPages(t *testing.T, f *fixture, c postern.Credential) {
	t.Helper()
	for n := range 5 {
		key := store.APIKey{ID: postern.APIKeyID(fmt.Sprintf("ak_page%d", n)), Account: c.Account, Owner: c.Owner, CreatedAt: f.now}
		f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.APIKeys().Create(ctx, key) })
	}
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.APIKeys().Delete(ctx, "ak_page3") })
	fails(t, f.Write(t.Context(), func(tx store.Tx) error { return tx.APIKeys().Delete(t.Context(), "ak_page3") }), postern.CodeNotFound)
	var got []postern.APIKeyID
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		for after := postern.APIKeyID(""); ; {
			keys, err := tx.APIKeys().List(ctx, after, 2)
			if err != nil || len(keys) == 0 {
				return err
			}
			for _, key := range keys {
				got, after = append(got, key.ID), key.ID
			}
		}
	})
	if diff := cmp.Diff([]postern.APIKeyID{"ak_1", "ak_page0", "ak_page1", "ak_page2", "ak_page4"}, got); diff != "" {
		t.Errorf("keys in pages (-want +got):\n%s", diff)
	}
}
