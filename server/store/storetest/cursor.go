package storetest

import (
	"context"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func testCursors(t *testing.T, f *fixture) {
	at := func(subscriber string, want int64) {
		t.Helper()
		f.read(t, func(ctx context.Context, tx store.Tx) error {
			got, err := tx.Cursors().Get(ctx, subscriber)
			if got != want {
				t.Errorf("%s is at %d, want %d", subscriber, got, want)
			}
			return err
		})
	}
	unknown := func(subscriber string) {
		t.Helper()
		fails(t, f.Read(t.Context(), func(tx store.Tx) error {
			_, err := tx.Cursors().Get(t.Context(), subscriber)
			return err
		}), postern.CodeNotFound)
	}
	unknown("a")
	for _, step := range []struct{ to, at int64 }{{0, 0}, {7, 7}, {3, 7}, {7, 7}, {8, 8}} {
		f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Cursors().Advance(ctx, "a", step.to) })
		at("a", step.at)
	}
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Cursors().Advance(ctx, "b", 1) })
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Cursors().Delete(ctx, "a") })
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Cursors().Delete(ctx, "a") })
	unknown("a")
	at("b", 1)
}
