package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

func keep(t *testing.T, s *sqlstore.Store, key, value string) {
	t.Helper()
	if err := s.Write(t.Context(), func(tx store.Tx) error { return tx.Settings().Put(t.Context(), key, value) }); err != nil {
		t.Fatal(err)
	}
}

// A snapshot is one moment: of two rows that are always written together it never has
// different values, however much is written meanwhile, and no writer waits for it.
func TestSnapshotOfDatabaseInUse(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "100% odd?name#1")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "postern.db")
	s := open(t, path)
	keep(t, s, "a", "0")
	keep(t, s, "b", "0")
	ctx, stop := context.WithCancel(t.Context())
	written := make(chan int)
	go func() {
		n := 0
		for ; ctx.Err() == nil; n++ {
			err := s.Write(t.Context(), func(tx store.Tx) error {
				if err := tx.Settings().Put(t.Context(), "a", fmt.Sprint(n)); err != nil {
					return err
				}
				return tx.Settings().Put(t.Context(), "b", fmt.Sprint(n))
			})
			if err != nil {
				t.Error(err)
				break
			}
		}
		written <- n
	}()
	for i := range 10 {
		into := filepath.Join(t.TempDir(), fmt.Sprintf("copy%d.db", i))
		schema, err := sqlstore.Snapshot(t.Context(), engine(path), into)
		if err != nil {
			t.Fatal(err)
		}
		if schema != sqlstore.NewestSchema() {
			t.Errorf("schema %d, want %d", schema, sqlstore.NewestSchema())
		}
		err = open(t, into).Read(t.Context(), func(tx store.Tx) error {
			a, err := tx.Settings().Get(t.Context(), "a")
			if err != nil {
				return err
			}
			b, err := tx.Settings().Get(t.Context(), "b")
			if a != b {
				t.Errorf("a is %q and b is %q", a, b)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	stop()
	if n := <-written; n == 0 {
		t.Error("nothing was written meanwhile")
	}
}

func TestSnapshotErrors(t *testing.T) {
	dir := t.TempDir()
	garbage, other := filepath.Join(dir, "garbage.db"), filepath.Join(dir, "other.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is no database", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, nil, 0o600); err != nil { // SQLite takes it for an empty one
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing.db")
	for name, path := range map[string]string{"missing": missing, "garbage": garbage, "somebody else's": other} {
		if _, err := sqlstore.Snapshot(t.Context(), engine(path), filepath.Join(t.TempDir(), "copy.db")); !postern.HasCode(err, postern.CodeStoreUnavailable) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a database was made")
	}
}

// A file of which a page is lost is found out before anybody restores it.
func TestInspectDamagedFile(t *testing.T) {
	path, copied := filepath.Join(t.TempDir(), "postern.db"), filepath.Join(t.TempDir(), "copy.db")
	s := open(t, path)
	for i := range 300 {
		keep(t, s, fmt.Sprintf("key%d", i), strings.Repeat("x", 500))
	}
	if _, err := sqlstore.Snapshot(t.Context(), engine(path), copied); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(copied, text[:len(text)-8192], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.InspectFile(t.Context(), engine(copied), copied); !postern.HasCode(err, postern.CodeStoreUnavailable) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(copied)); err != nil || len(entries) != 1 {
		t.Errorf("looking at it left %v (%v)", entries, err)
	}
}
