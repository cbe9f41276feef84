package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// Run proves that stores keep what server/store promises. open returns a new, empty
// store each time; Run closes it.
func Run(t *testing.T, open func(t *testing.T) store.Store) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"accounts", testAccounts},
		{"account pages sort as bytes", testAccountPages},
		{"references", testReferences},
		{"names are claimed once", testClaimName},
		{"lapsed names change hands", testLapsedName},
		{"names above and below", testRelatedNames},
		{"series of names", testNameSeries},
		{"names are kept", testKeepName},
		{"names in use do not expire", testNameExpiry},
		{"ports", testPorts},
		{"ports of both schemes", testPortsOfBothSchemes},
		{"settings", testSettings},
		{"limits", testLimits},
		{"cursors", testCursors},
		{"outbox order", testOutboxOrder},
		{"outbox without gaps", testOutboxConcurrent},
		{"outbox pruning", testOutboxPrune},
		{"rollback", testRollback},
		{"rollback of a panic", testPanic},
		{"reads cannot write", testReadOnly},
		{"reads see one state and never wait", testSnapshot},
		{"writes are serial", testSerial},
		{"one of two claims wins", testConcurrentClaims},
		{"a context ends the wait", testContext},
		{"closed", testClosed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, open)) })
	}
	for name, test := range resources() {
		t.Run(name, func(t *testing.T) { test(t, newFixture(t, open)) })
	}
}

func newFixture(t *testing.T, open func(t *testing.T) store.Store) *fixture {
	f := &fixture{Store: open(t), now: time.Date(2031, 5, 17, 9, 30, 0, 123456000, time.UTC)}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// fixture is a store with shorthands that fail the test.
type fixture struct {
	store.Store
	now time.Time
}

func (f *fixture) write(t *testing.T, fn func(ctx context.Context, tx store.Tx) error) {
	t.Helper()
	if err := f.Write(t.Context(), func(tx store.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatalf("Write: %v", err)
	}
}

func (f *fixture) read(t *testing.T, fn func(ctx context.Context, tx store.Tx) error) {
	t.Helper()
	if err := f.Read(t.Context(), func(tx store.Tx) error { return fn(t.Context(), tx) }); err != nil {
		t.Fatalf("Read: %v", err)
	}
}

// owner makes an account with one user and one credential, whose ids end in n.
func (f *fixture) owner(t *testing.T, n int) postern.Credential {
	t.Helper()
	acl, err := postern.ParseACL([]string{"bind:*.example.com", "bind:tcp.example.com:20001"})
	if err != nil {
		t.Fatal(err)
	}
	c := postern.Credential{
		ID: postern.CredentialID(fmt.Sprintf("cr_%d", n)), Account: postern.AccountID(fmt.Sprintf("ac_%d", n)),
		Owner: postern.UserID(fmt.Sprintf("usr_%d", n)), Description: "laptop — 東京", Metadata: `{"a":1}`,
		ACL: acl, Verifier: [32]byte{byte(n), 1, 2, 31: 0xff}, CreatedAt: f.now,
	}
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		if err := tx.Accounts().Create(ctx, postern.Account{ID: c.Account, Name: "account", CreatedAt: f.now}); err != nil {
			return err
		}
		user := store.User{
			Meta: store.Meta{ID: string(c.Owner), Account: c.Account, CreatedAt: f.now, UpdatedAt: f.now},
			Name: "user", Kind: store.Person, Role: postern.Owner, Active: true,
		}
		if err := tx.Users().Create(ctx, user); err != nil {
			return err
		}
		return tx.Credentials().Create(ctx, store.CredentialOf(c))
	})
	return c
}

// fails checks that a transaction fails with a code.
func fails(t *testing.T, err error, code postern.Code) {
	t.Helper()
	if !postern.HasCode(err, code) {
		t.Errorf("got error %v, want %s (%s)", err, code, code.Entry().Title)
	}
}
