package sqlstore_test

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
	"github.com/postern-dev/postern/server/store/storetest"
)

// BenchmarkRows reads among 100,000 rows. docs/performance.md has figures.
func BenchmarkRows(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		storetest.Benchmark(b, func(t testing.TB) store.Store { return open(t, filepath.Join(t.TempDir(), "postern.db")) })
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		storetest.Benchmark(b, func(t testing.TB) store.Store { return openPostgres(t, postgreSQL.Database(t)) })
	})
}

func BenchmarkWrite(b *testing.B) {
	s, err := sqlstore.Open(b.Context(), engine(filepath.Join(b.TempDir(), "postern.db")))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for n := 0; b.Loop(); n++ { // another value each time: the same would change no page
		if err := put(b.Context(), s, "k", strconv.Itoa(n)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	s, err := sqlstore.Open(b.Context(), engine(filepath.Join(b.TempDir(), "postern.db")))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := put(b.Context(), s, "k", "v"); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := get(b.Context(), s, "k"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWritePostgreSQL(b *testing.B) {
	s := openPostgres(b, postgreSQL.Database(b))
	for n := 0; b.Loop(); n++ { // another value each time: the same would change no page
		if err := put(b.Context(), s, "k", strconv.Itoa(n)); err != nil {
			b.Fatal(err)
		}
	}
}
