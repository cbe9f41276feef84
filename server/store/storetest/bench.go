package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/store"
)

const (
	// Filled is how many rows one account has in a benchmark.
	Filled = 100_000
	// perWrite is how many of them one transaction makes: PostgreSQL bounds its time.
	perWrite = 5_000
)

// Benchmark measures reads of a store in which one account has 100,000 reserved
// domains: one of them, a page of 100, and a page that a condition selects. It closes
// the store that open gives it.
func Benchmark(b *testing.B, open func(testing.TB) store.Store) {
	b.Helper()
	s := open(b)
	defer func() { _ = s.Close() }()
	account := postern.AccountID("ac_1")
	Fill(b, s, account)
	for _, read := range []struct {
		name string
		rows int
		read func(ctx context.Context, tx store.Tx) (int, error)
	}{
		{"one", 1, func(ctx context.Context, tx store.Tx) (int, error) {
			_, err := tx.ReservedDomains().Get(ctx, account, FilledID(rand.IntN(Filled)))
			return 1, err
		}},
		{"newest 100", 100, func(ctx context.Context, tx store.Tx) (int, error) {
			page, err := tx.ReservedDomains().List(ctx, store.Page{Account: account, Limit: 100})
			return len(page), err
		}},
		{"any 100", 100, func(ctx context.Context, tx store.Tx) (int, error) {
			before := FilledID(100 + rand.IntN(Filled-100))
			page, err := tx.ReservedDomains().List(ctx, store.Page{Account: account, Before: before, Limit: 100})
			return len(page), err
		}},
		{"by name", 1, func(ctx context.Context, tx store.Tx) (int, error) {
			where := store.Equal("domain", string(filledName(rand.IntN(Filled))))
			page, err := tx.ReservedDomains().List(ctx, store.Page{Account: account, Limit: 100, Where: where})
			return len(page), err
		}},
	} {
		b.Run(read.name, func(b *testing.B) {
			var latency testkit.Latency
			for b.Loop() {
				latency.Measure(func() {
					err := s.Read(b.Context(), func(tx store.Tx) error {
						n, err := read.read(b.Context(), tx)
						if err == nil && n != read.rows {
							err = fmt.Errorf("%d rows, want %d", n, read.rows)
						}
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
				})
			}
			latency.Report(b)
		})
	}
}

// Fill gives an account, which it makes if there is none, 100,000 reserved domains.
func Fill(b testing.TB, s store.Store, account postern.AccountID) {
	b.Helper()
	now := time.Now()
	write := func(fn func(store.Tx) error) {
		if err := s.Write(b.Context(), fn); err != nil {
			b.Fatal(err)
		}
	}
	write(func(tx store.Tx) error {
		_, err := tx.Accounts().Get(b.Context(), account)
		if postern.HasCode(err, postern.CodeNotFound) {
			err = tx.Accounts().Create(b.Context(), postern.Account{ID: account, CreatedAt: now})
		}
		return err
	})
	for from := 0; from < Filled; from += perWrite {
		write(func(tx store.Tx) error {
			for n := from; n < from+perWrite; n++ {
				err := tx.ReservedDomains().Create(b.Context(), store.ReservedDomain{
					Meta: store.Meta{
						ID: FilledID(n), Account: account, Description: fmt.Sprint("domain of customer ", n),
						Metadata: fmt.Sprintf(`{"customer":%d}`, n), CreatedAt: now, UpdatedAt: now,
					},
					Domain: filledName(n), ResolvesTo: []string{"global"},
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// FilledID is the id of one of the domains that Fill makes, of which there are 100,000.
func FilledID(n int) string { return fmt.Sprintf("rd_%027d", n) }

func filledName(n int) postern.Hostname {
	return postern.Hostname(fmt.Sprintf("n%d.customers.example.org", n))
}
