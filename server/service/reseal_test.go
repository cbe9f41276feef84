package service_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/seal"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

const vault = "vault_secret"

// sealedRows is a table with one sealed field a row, in the settings of a real store.
type sealedRows struct {
	world *world
	ids   []string
}

func newSealedRows(w *world, n int) *sealedRows {
	rows := &sealedRows{world: w}
	for i := range n {
		rows.ids = append(rows.ids, fmt.Sprintf("vs_%03d", i))
	}
	return rows.in(w)
}

// in makes the rows a table of another process's service.
func (r *sealedRows) in(w *world) *sealedRows {
	same := &sealedRows{world: w, ids: r.ids}
	w.KeepSealed(vault, same.page, same.put)
	return same
}

func (r *sealedRows) page(ctx context.Context, tx store.Tx, after string, limit int) (rows []service.SealedRow, err error) {
	for _, id := range r.ids {
		if id <= after || len(rows) == limit {
			continue
		}
		text, err := tx.Settings().Get(ctx, "test."+id)
		if postern.HasCode(err, postern.CodeNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		sealed, err := hex.DecodeString(text)
		if err != nil {
			return nil, err
		}
		rows = append(rows, service.SealedRow{ID: id, Fields: map[string][]byte{"value": sealed, "none": nil}})
	}
	return rows, nil
}

func (r *sealedRows) put(ctx context.Context, tx store.Tx, row service.SealedRow) error {
	return tx.Settings().Put(ctx, "test."+row.ID, hex.EncodeToString(row.Fields["value"]))
}

func (r *sealedRows) fill(t *testing.T) {
	t.Helper()
	for _, id := range r.ids {
		r.set(t, id)
	}
}

func (r *sealedRows) set(t *testing.T, id string) {
	t.Helper()
	err := r.world.Seal(t.Context(), vault, id, "value", "secret of "+id, func(tx store.Tx, sealed []byte) error {
		return r.put(t.Context(), tx, service.SealedRow{ID: id, Fields: map[string][]byte{"value": sealed}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// check opens every row, and says which keys they are sealed with.
func (r *sealedRows) check(t *testing.T) (keys []seal.KeyID) {
	t.Helper()
	var rows []service.SealedRow
	err := r.world.store.Store.Read(t.Context(), func(tx store.Tx) (err error) {
		rows, err = r.page(t.Context(), tx, "", len(r.ids))
		return err
	})
	if err != nil || len(rows) != len(r.ids) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		secret, err := r.world.Unseal(vault, row.ID, "value", row.Fields["value"])
		if err != nil || secret != "secret of "+row.ID {
			t.Fatalf("%s: %q, %v", row.ID, secret, err)
		}
		key, err := seal.KeyOf(row.Fields["value"])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	return keys
}

// sealedBy has a service's keyring hold these keys.
func sealedBy(t *testing.T, keys ...seal.Key) func(*service.Config) {
	t.Helper()
	ring := must[*seal.Keyring](t)(seal.NewKeyring(keys...))
	return func(c *service.Config) { c.Sealing = ring }
}

func TestRotateSealing(t *testing.T) {
	older, newer := seal.NewKey(), seal.NewKey()
	w := newWorld(t, sealedBy(t, older))
	rows := newSealedRows(w, 2*service.ResealPage+7)
	rows.fill(t)
	if keys := rows.check(t); len(keys) != 1 || keys[0] != older.ID() {
		t.Fatalf("sealed with %v", keys)
	}
	// Another key in front of the ring changes nothing by itself: the store decides.
	w = w.restart(t, sealedBy(t, newer, older))
	rows = rows.in(w)
	rows.set(t, rows.ids[0])
	if keys := rows.check(t); len(keys) != 1 || keys[0] != older.ID() {
		t.Fatalf("sealed with %v", keys)
	}
	writes := w.store.writes.Load()
	done, err := w.RotateSealing(t.Context())
	if err != nil || done.Key != newer.ID() || !slices.Equal(done.Retired, []seal.KeyID{older.ID()}) || done.Resealed != len(rows.ids) {
		t.Fatalf("%+v, %v", done, err)
	}
	if n := w.store.writes.Load() - writes; n < 5 {
		t.Errorf("%d transactions for %d rows", n, len(rows.ids))
	}
	again, err := w.RotateSealing(t.Context())
	if err != nil || again.Resealed != 0 || len(again.Retired) != 0 {
		t.Errorf("again: %+v, %v", again, err)
	}
	w = w.restart(t, sealedBy(t, newer))
	if keys := rows.in(w).check(t); len(keys) != 1 || keys[0] != newer.ID() {
		t.Errorf("sealed with %v", keys)
	}
}

// A rotation may end after any of its transactions: a server with both keys goes on as if
// nothing had happened, one without the older key does not start, and the next rotation
// does the rest.
func TestRotationThatIsCutShort(t *testing.T) {
	older, newer := seal.NewKey(), seal.NewKey()
	for steps := int64(0); ; steps++ {
		w := newWorld(t, sealedBy(t, older))
		rows := newSealedRows(w, service.ResealPage+2)
		rows.fill(t)
		w = w.restart(t, sealedBy(t, newer, older))
		rows = rows.in(w)
		var left atomic.Int64
		left.Store(steps)
		w.store.beforeWrite.Store(&beforeWrite{func() error {
			if left.Add(-1) < 0 {
				return errors.New("killed")
			}
			return nil
		}})
		_, err := w.RotateSealing(t.Context())
		w = w.restart(t, sealedBy(t, newer, older))
		rows = rows.in(w)
		rows.check(t)
		if err == nil {
			if steps < 4 {
				t.Errorf("%d transactions were enough", steps)
			}
			return
		}
		without := must[*seal.Keyring](t)(seal.NewKeyring(newer))
		_, err = service.New(t.Context(), service.Config{Store: w.store, Bus: w.bus, NameKey: make([]byte, 32), Domains: []postern.Hostname{domain}, Sealing: without})
		refused(t, err, postern.CodeSealingKeyMissing)
		if _, err := w.RotateSealing(t.Context()); err != nil {
			t.Errorf("the rest of a rotation that ended after %d transactions: %v", steps, err)
		}
		if keys := rows.check(t); len(keys) != 1 || keys[0] != newer.ID() {
			t.Errorf("after %d transactions and a second rotation: sealed with %v", steps, keys)
		}
	}
}

// A process that has not heard of the rotation seals with the new key from the first
// step on, or not at all.
func TestRotationBesideAnotherProcess(t *testing.T) {
	older, newer := seal.NewKey(), seal.NewKey()
	w := newWorld(t, sealedBy(t, older))
	rows := newSealedRows(w, 3)
	rows.fill(t)
	both := must[*seal.Keyring](t)(seal.NewKeyring(newer, older))
	other := must[*service.Service](t)(service.New(t.Context(), service.Config{
		Store: w.store, Bus: w.bus, NameKey: make([]byte, 32), Domains: []postern.Hostname{domain}, Sealing: both}))
	defer func() { _ = other.Close(context.Background()) }()
	other.KeepSealed(vault, rows.page, rows.put)
	if _, err := other.RotateSealing(t.Context()); err != nil {
		t.Fatal(err)
	}
	err := w.Seal(t.Context(), vault, rows.ids[0], "value", "new", func(store.Tx, []byte) error { return nil })
	refused(t, err, postern.CodeSealingKeyMissing)
}

// What nobody can open stays as it is, and keeps its key from being forgotten.
func TestRotationWithABrokenRow(t *testing.T) {
	older, newer := seal.NewKey(), seal.NewKey()
	w := newWorld(t, sealedBy(t, older))
	rows := newSealedRows(w, 3)
	rows.fill(t)
	swap := func(tx store.Tx) error {
		text, err := tx.Settings().Get(t.Context(), "test."+rows.ids[0])
		if err != nil {
			return err
		}
		return tx.Settings().Put(t.Context(), "test."+rows.ids[1], text)
	}
	if err := w.store.Write(t.Context(), swap); err != nil {
		t.Fatal(err)
	}
	w = w.restart(t, sealedBy(t, newer, older))
	rows.in(w)
	done, err := w.RotateSealing(t.Context())
	refused(t, err, postern.CodeSealBroken)
	if err == nil || !strings.Contains(err.Error(), vault+" "+rows.ids[1]+", value: ") || done.Resealed != 2 || len(done.Retired) != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	ids := must[[]seal.KeyID](t)(service.SealingKeys(t.Context(), w.store))
	if !slices.Equal(ids, []seal.KeyID{newer.ID(), older.ID()}) {
		t.Errorf("keys %v", ids)
	}
}

// No sealed secret is in the database.
func TestSealedAtRest(t *testing.T) {
	w := newWorld(t)
	rows := newSealedRows(w, 3)
	rows.fill(t)
	rows.check(t)
	w.close()
	for _, secret := range []string{"secret of", hex.EncodeToString([]byte("secret of")), sealingKey} {
		if strings.Contains(w.stored(t), secret) {
			t.Errorf("%q is in the database", secret)
		}
	}
	bare := openWorld(t, w.from, w.clock, func(c *service.Config) { c.Sealing = nil })
	_, err := bare.RotateSealing(t.Context())
	refused(t, err, postern.CodeInternal)
}
