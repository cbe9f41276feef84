package storetest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// kind is one kind of resource whose rows are tested.
type kind[R any, P store.Headed[R]] struct {
	rows func(store.Tx) store.Rows[R]
	// fill sets what a row has besides its Meta; n tells rows apart. It may write what
	// the row refers to.
	fill func(ctx context.Context, tx store.Tx, row P, n int) error
	// change changes everything that may change besides the Meta; nil: nothing may.
	change func(P)
}

// testRows makes the test of the contract of store.Rows for one kind.
func testRows[R any, P store.Headed[R]](k kind[R, P]) func(*testing.T, *fixture) {
	return func(t *testing.T, f *fixture) {
		mine, others := f.owner(t, 1).Account, f.owner(t, 2).Account
		var rows []R
		for n := range 5 {
			rows = append(rows, k.create(t, f, mine, n))
		}
		foreign := k.create(t, f, others, 5)
		k.testReading(t, f, mine, rows, *P(&foreign).Head())
		k.testPaging(t, f, mine, rows)
		k.testFiltering(t, f, mine, rows)
		k.testChanging(t, f, rows[2])
		k.testDeleting(t, f, mine, rows[3], foreign)
	}
}

func (k kind[R, P]) create(t *testing.T, f *fixture, account postern.AccountID, n int) R {
	t.Helper()
	var row R
	// The ids do not sort in the order of a locale, which would put a before B.
	*P(&row).Head() = store.Meta{
		ID: "x_" + string("0BCZaz"[n]) + "2abcdefghijklmnopqrstuvwxyz", Account: account,
		Description: fmt.Sprintf("Nº %d — 東京 'or' \"and\" 100%%_", n), Metadata: `{"a":[1]}`,
		CreatedAt: f.now.Add(time.Duration(n) * time.Second), UpdatedAt: f.now.Add(time.Duration(n) * time.Minute),
	}
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		if k.fill != nil {
			if err := k.fill(ctx, tx, P(&row), n); err != nil {
				return err
			}
		}
		return k.rows(tx).Create(ctx, row)
	})
	return row
}

func (k kind[R, P]) testReading(t *testing.T, f *fixture, mine postern.AccountID, rows []R, foreign store.Meta) {
	t.Helper()
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		for _, want := range rows {
			got, err := k.rows(tx).Get(ctx, mine, P(&want).Head().ID)
			if diff := cmp.Diff(want, got, compared()); err != nil || diff != "" {
				t.Errorf("a row came back otherwise (-want +got), error %v:\n%s", err, diff)
			}
		}
		_, err := k.rows(tx).Get(ctx, mine, foreign.ID)
		fails(t, err, postern.CodeNotFound)
		_, err = k.rows(tx).Get(ctx, mine, "x_nobody")
		fails(t, err, postern.CodeNotFound)
		if _, err := k.rows(tx).Get(ctx, "", foreign.ID); err != nil {
			t.Errorf("without an account: %v", err)
		}
		return nil
	})
	err := f.Write(t.Context(), func(tx store.Tx) error { return k.rows(tx).Create(t.Context(), rows[0]) })
	fails(t, err, postern.CodeConflict)
}

func (k kind[R, P]) testPaging(t *testing.T, f *fixture, mine postern.AccountID, rows []R) {
	t.Helper()
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		before, left := "", len(rows)
		for {
			page, err := k.rows(tx).List(ctx, store.Page{Account: mine, Before: before, Limit: 2, Where: made()})
			if err != nil || len(page) == 0 {
				if left != 0 {
					t.Errorf("%d rows were not listed", left)
				}
				return err
			}
			for _, got := range page {
				left--
				if diff := cmp.Diff(rows[left], got, compared()); diff != "" {
					t.Errorf("not the newest first (-want +got):\n%s", diff)
				}
				before = P(&got).Head().ID
			}
		}
	})
}

func (k kind[R, P]) testFiltering(t *testing.T, f *fixture, mine postern.AccountID, rows []R) {
	t.Helper()
	is := func(field string, op store.Op, value any) store.Filter {
		return store.Compare{Field: field, Op: op, Value: value}
	}
	created := P(&rows[2]).Head().CreatedAt
	for _, where := range []store.Filter{
		store.And{}, store.Or{},
		store.Equal("id", P(&rows[3]).Head().ID), store.Equal("description", P(&rows[1]).Head().Description),
		is("description", store.Differs, P(&rows[1]).Head().Description), is("description", store.Contains, "Nº 2 — 東京 'or' \"and\" 100%_"),
		is("description", store.StartsWith, "N_"), is("description", store.StartsWith, "Nº 1 — 東"), is("description", store.EndsWith, "— 東京 'or' \"and\" 100%_"), is("description", store.EndsWith, "100%_"), is("description", store.Less, "Nº 2"),
		is("metadata", store.Equals, nil), store.Not{Filter: is("metadata", store.Contains, "A")},
		is("created_at", store.Less, created), is("created_at", store.AtLeast, created), is("updated_at", store.More, created),
		store.OneOf("id", P(&rows[0]).Head().ID, P(&rows[4]).Head().ID, "x' OR 1=1 --"),
		store.Size{Field: "description", Op: store.More, Size: 10},
		store.Or{store.Equal("created_at", created), store.And{is("id", store.More, "x_B"), is("id", store.Less, "x_b")}},
	} {
		var want []string
		for _, row := range slices.Backward(rows) {
			if where.Match(valuesOf(*P(&row).Head())) {
				want = append(want, P(&row).Head().ID)
			}
		}
		f.read(t, func(ctx context.Context, tx store.Tx) error {
			where := store.All(where, made())
			page, err := k.rows(tx).List(ctx, store.Page{Account: mine, Limit: 10, Where: where})
			var got []string
			for i := range page {
				got = append(got, P(&page[i]).Head().ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%#v selects %v, want %v", where, got, want)
			}
			if err != nil {
				return err
			}
			count, err := k.rows(tx).Count(ctx, mine, where)
			if count != int64(len(want)) {
				t.Errorf("%#v counts %d, want %d", where, count, len(want))
			}
			return err
		})
	}
}

// made selects the rows of kind.create: the fixture makes some, too.
func made() store.Filter {
	return store.Compare{Field: "id", Op: store.StartsWith, Value: "x_"}
}

// valuesOf are those that every row has.
func valuesOf(m store.Meta) store.Values {
	return func(field string) any {
		return map[string]any{
			"id": m.ID, "description": m.Description, "metadata": m.Metadata, "created_at": m.CreatedAt, "updated_at": m.UpdatedAt,
		}[field]
	}
}

func (k kind[R, P]) testChanging(t *testing.T, f *fixture, row R) {
	t.Helper()
	head := P(&row).Head()
	head.Description, head.Metadata, head.UpdatedAt = "", "other", f.now.Add(time.Hour)
	if k.change != nil {
		k.change(&row)
	}
	f.write(t, func(ctx context.Context, tx store.Tx) error { return k.rows(tx).Update(ctx, row) })
	f.read(t, func(ctx context.Context, tx store.Tx) error {
		got, err := k.rows(tx).Get(ctx, head.Account, head.ID)
		if diff := cmp.Diff(row, got, compared()); diff != "" {
			t.Errorf("after the change (-want +got):\n%s", diff)
		}
		return err
	})
	head.ID = "x_nobody"
	err := f.Write(t.Context(), func(tx store.Tx) error { return k.rows(tx).Update(t.Context(), row) })
	fails(t, err, postern.CodeNotFound)
}

func (k kind[R, P]) testDeleting(t *testing.T, f *fixture, mine postern.AccountID, row, foreign R) {
	t.Helper()
	remove := func(id string) error {
		return f.Write(t.Context(), func(tx store.Tx) error { return k.rows(tx).Delete(t.Context(), mine, id) })
	}
	fails(t, remove(P(&foreign).Head().ID), postern.CodeNotFound)
	if err := remove(P(&row).Head().ID); err != nil {
		t.Errorf("Delete: %v", err)
	}
	fails(t, remove(P(&row).Head().ID), postern.CodeNotFound)
}

// compared compares rows as a caller would.
func compared() cmp.Option {
	return cmp.Options{
		cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) && a.Location() == b.Location() }),
		cmp.Comparer(func(a, b postern.ACL) bool { return fmt.Sprint(a.Strings()) == fmt.Sprint(b.Strings()) }),
		cmp.Comparer(func(a, b postern.Secret) bool { return a.Reveal() == b.Reveal() }),
		cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	}
}
