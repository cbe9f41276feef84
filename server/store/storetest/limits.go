package storetest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func testLimits(t *testing.T, f *fixture) {
	c := f.owner(t, 1)
	none, many := int64(0), int64(1)<<40
	account := store.LimitsRow{Subject: string(c.Account), Account: c.Account,
		Overrides: postern.LimitOverrides{Sessions: &none, BytesPerSecond: &many}}
	credential := store.LimitsRow{Subject: string(c.ID), Account: c.Account,
		Overrides: postern.LimitOverrides{Endpoints: &many, Connections: &none, RequestsPerMinute: &many}}
	put := func(rows ...store.LimitsRow) {
		t.Helper()
		f.write(t, func(ctx context.Context, tx store.Tx) error {
			for _, row := range rows {
				if err := tx.Limits().Put(ctx, row); err != nil {
					return err
				}
			}
			return nil
		})
	}
	expect := func(want ...store.LimitsRow) {
		t.Helper()
		f.read(t, func(ctx context.Context, tx store.Tx) error {
			var got []store.LimitsRow
			for after := ""; ; {
				page, err := tx.Limits().List(ctx, after, 1)
				if err != nil {
					return err
				}
				if len(page) == 0 {
					break
				}
				got, after = append(got, page...), page[0].Subject
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("limits (-want +got):\n%s", diff)
			}
			for _, row := range want {
				one, err := tx.Limits().Get(ctx, row.Subject)
				if err != nil || !cmp.Equal(one, row.Overrides) {
					t.Errorf("%s: %+v, %v", row.Subject, one, err)
				}
			}
			nobody, err := tx.Limits().Get(ctx, "ac_nobody")
			if !nobody.Empty() {
				t.Errorf("nobody has %+v", nobody)
			}
			return err
		})
	}
	expect()
	put(credential, account)
	expect(account, credential)
	account.Overrides = postern.LimitOverrides{Sessions: &many}
	put(account, store.LimitsRow{Subject: credential.Subject, Account: c.Account})
	expect(account)
	fails(t, f.Write(t.Context(), func(tx store.Tx) error {
		return tx.Limits().Put(t.Context(), store.LimitsRow{Subject: "ac_nobody", Account: "ac_nobody", Overrides: account.Overrides})
	}), postern.CodeNotFound)
}
