package sqlstore_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

// What a new name costs, its event included, until it is on the disk. The cluster of the
// tests does not wait for its disk: for PostgreSQL this is the way there and back.
func BenchmarkClaimName(b *testing.B) {
	for name, open := range map[string]func() *sqlstore.Store{
		"sqlite": func() *sqlstore.Store {
			s, err := sqlstore.Open(b.Context(), engine(filepath.Join(b.TempDir(), "postern.db")))
			if err != nil {
				b.Fatal(err)
			}
			return s
		},
		"postgresql": func() *sqlstore.Store { return openPostgres(b, postgreSQL.Database(b)) },
	} {
		b.Run(name, func(b *testing.B) {
			s := open()
			defer s.Close()
			ctx, now := b.Context(), time.Now()
			write := func(fn func(store.Tx) error) {
				if err := s.Write(ctx, fn); err != nil {
					b.Fatal(err)
				}
			}
			write(func(tx store.Tx) error {
				if err := tx.Accounts().Create(ctx, postern.Account{ID: "ac_1"}); err != nil {
					return err
				}
				if err := tx.Users().Create(ctx, store.User{Meta: store.Meta{ID: "usr_1", Account: "ac_1"}}); err != nil {
					return err
				}
				return tx.Credentials().Create(ctx, store.Credential{Meta: store.Meta{ID: "cr_1", Account: "ac_1"}, Owner: "usr_1"})
			})
			for n := 0; b.Loop(); n++ {
				claimed := store.Name{Host: postern.Hostname(fmt.Sprintf("n%d.example.com", n)), Account: "ac_1", Credential: "cr_1", CreatedAt: now, LastUsedAt: now}
				write(func(tx store.Tx) error {
					if _, err := tx.Names().Claim(ctx, claimed, now); err != nil {
						return err
					}
					_, err := tx.Outbox().Append(ctx, postern.Event{ID: "ev_x", Account: "ac_1", At: now}, string(claimed.Host))
					return err
				})
			}
		})
	}
}
