package storetest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func testAccounts(t *testing.T, f *fixture) {
	want := postern.Account{ID: "ac_1", Name: `Ωmega "quoted"`, CreatedAt: f.now}
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Accounts().Create(ctx, want) })
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		got, err := tx.Accounts().Get(ctx, want.ID)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("account (-want +got):\n%s", diff)
		}
		return err
	})
	fails(t, f.Write(t.Context(), func(tx store.Tx) error { return tx.Accounts().Create(t.Context(), want) }), postern.CodeConflict)
	fails(t, f.Read(t.Context(), func(tx store.Tx) error {
		_, err := tx.Accounts().Get(t.Context(), "ac_nobody")
		return err
	}), postern.CodeNotFound)
}

// A locale would put "a" before "B"; paging needs bytes.
func testAccountPages(t *testing.T, f *fixture) {
	order := []postern.AccountID{"ac_0", "ac_9", "ac_A", "ac_Z", "ac_a", "ac_z"}
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		for _, i := range []int{4, 0, 5, 2, 1, 3} {
			if err := tx.Accounts().Create(ctx, postern.Account{ID: order[i], CreatedAt: f.now}); err != nil {
				return err
			}
		}
		return nil
	})
	var got []postern.AccountID
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		var after postern.AccountID
		for {
			page, err := tx.Accounts().List(ctx, after, 4)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, a := range page {
				got, after = append(got, a.ID), a.ID
			}
		}
	})
	if diff := cmp.Diff(order, got); diff != "" {
		t.Errorf("accounts in pages (-want +got):\n%s", diff)
	}
}

func testSettings(t *testing.T, f *fixture) {
	fails(t, f.Read(t.Context(), func(tx store.Tx) error {
		_, err := tx.Settings().Get(t.Context(), "k")
		return err
	}), postern.CodeNotFound)
	for _, value := range []string{"first", "", "second"} {
		f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Settings().Put(ctx, "k", value) })
		f.read(t, func(ctx context.Context, tx store.Tx) error {
			got, err := tx.Settings().Get(ctx, "k")
			if got != value {
				t.Errorf("got %q, want %q", got, value)
			}
			return err
		})
	}
}
