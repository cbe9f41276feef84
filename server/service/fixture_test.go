package service_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/postgres"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/seal"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

// The tests run twice, first on SQLite and then on PostgreSQL; fuzzing and benchmarks
// take the first alone.
var (
	postgreSQL   postgres.Shared
	onPostgreSQL bool
)

func TestMain(m *testing.M) { testkit.Leaks(bothEngines{m}, postgreSQL.Close) }

type bothEngines struct{ *testing.M }

// Run implements goleak.TestingM.
func (b bothEngines) Run() int {
	code := b.M.Run()
	for _, once := range []string{"test.fuzz", "test.bench", "test.list"} {
		if flag.Lookup(once).Value.String() != "" {
			return code
		}
	}
	if code == 0 {
		fmt.Println("the same on PostgreSQL:")
		onPostgreSQL = true
		code = b.M.Run()
	}
	return code
}

// newDatabase is an empty one of the engine that it is the turn of.
func newDatabase(t *testing.T) sqlstore.Engine {
	t.Helper()
	if onPostgreSQL {
		return sqlstore.Engine{Dialect: sqlstore.PostgreSQL, Driver: "pgx", Source: postern.Secret(postgreSQL.Database(t))}
	}
	return sqlstore.Engine{Dialect: sqlstore.SQLite, Driver: "sqlite", Source: postern.Secret(filepath.Join(t.TempDir(), "postern.db"))}
}

const domain postern.Hostname = "example.com"

// world is a service over a real database that can be made to fail.
type world struct {
	*service.Service
	store *flaky
	bus   *event.Bus
	clock *clock
	from  sqlstore.Engine
}

// sealingKey is that of worlds whose tests do not choose one.
const sealingKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// clock is a time that only tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// flaky is a store that is down while a test says so.
type flaky struct {
	store.Store
	down   atomic.Bool
	writes atomic.Int64

	// loseAnswer lets the next write happen, and loses the answer; the store is down from
	// then on.
	loseAnswer atomic.Bool

	// afterRead, where set, is called once when a read has seen its rows and has not
	// returned yet.
	afterRead atomic.Pointer[func()]

	// beforeWrite, where set, is asked before each write whether it may happen.
	beforeWrite atomic.Pointer[beforeWrite]
}

type beforeWrite struct{ ask func() error }

func (f *flaky) Read(ctx context.Context, fn func(store.Tx) error) error {
	if f.down.Load() {
		return postern.Errorf(postern.CodeStoreUnavailable, "down")
	}
	err := f.Store.Read(ctx, fn)
	if hook := f.afterRead.Swap(nil); hook != nil {
		(*hook)()
	}
	return err
}

func (f *flaky) Write(ctx context.Context, fn func(store.Tx) error) error {
	f.writes.Add(1)
	if f.down.Load() {
		return postern.Errorf(postern.CodeStoreUnavailable, "down")
	}
	if before := f.beforeWrite.Load(); before != nil {
		if err := before.ask(); err != nil {
			return err
		}
	}
	err := f.Store.Write(ctx, fn)
	if err == nil && f.loseAnswer.Load() {
		f.down.Store(true)
		return postern.Errorf(postern.CodeStoreUnavailable, "the connection broke").Because(store.ErrInDoubt)
	}
	return err
}

func newWorld(t *testing.T, change ...func(*service.Config)) *world {
	t.Helper()
	return openWorld(t, newDatabase(t), &clock{now: time.Date(2031, 5, 17, 9, 30, 0, 0, time.UTC)}, change...)
}

func openWorld(t *testing.T, from sqlstore.Engine, c *clock, change ...func(*service.Config)) *world {
	t.Helper()
	ctx := context.Background()
	db, err := sqlstore.Open(ctx, from)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: &flaky{Store: db}, bus: event.NewBus(), clock: c, from: from}
	config := service.Config{
		Store: w.store, Bus: w.bus, NameKey: bytes.Repeat([]byte{7}, 32), Domains: []postern.Hostname{domain},
		Sealing: must[*seal.Keyring](t)(seal.NewKeyring(must[seal.Key](t)(seal.ParseKey(sealingKey)))),
		Now:     c.Now, Logger: testkit.Logger(t),
	}
	for _, fn := range change {
		fn(&config)
	}
	if w.Service, err = service.New(ctx, config); err != nil {
		_ = db.Close()
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// close ends the service and its store; the second time it does nothing.
func (w *world) close() {
	_ = w.Close(context.Background())
	_ = w.store.Close()
	w.bus.Close()
}

// restart opens the same database again, as another process would.
func (w *world) restart(t *testing.T, change ...func(*service.Config)) *world {
	t.Helper()
	w.close()
	return openWorld(t, w.from, w.clock, change...)
}

// bootstrap makes the first account and returns its credential and token.
func (w *world) bootstrap(t *testing.T) (postern.Credential, postern.Secret) {
	t.Helper()
	made, err := w.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := w.Authenticate(t.Context(), made.Authtoken)
	if err != nil {
		t.Fatal(err)
	}
	return c, made.Authtoken
}

// credential adds one to the account of another.
func (w *world) credential(t *testing.T, beside postern.Credential, rules ...string) (postern.Credential, postern.Secret) {
	t.Helper()
	c, token, err := w.CreateCredential(t.Context(), service.NewCredential{Account: beside.Account, Owner: beside.Owner, ACL: rules})
	if err != nil {
		t.Fatal(err)
	}
	return c, token
}

// stranger makes a second account, which there is no use case for yet.
func (w *world) stranger(t *testing.T, id string) postern.Credential {
	t.Helper()
	c := postern.Credential{
		ID: postern.CredentialID("cr_" + id), Account: postern.AccountID("ac_" + id), Owner: postern.UserID("usr_" + id),
	}
	err := w.store.Write(t.Context(), func(tx store.Tx) error {
		if err := tx.Accounts().Create(t.Context(), postern.Account{ID: c.Account}); err != nil {
			return err
		}
		if err := tx.Users().Create(t.Context(), store.User{Meta: store.Meta{ID: string(c.Owner), Account: c.Account}, Kind: store.Person, Role: postern.Owner, Active: true}); err != nil {
			return err
		}
		return tx.Credentials().Create(t.Context(), store.CredentialOf(c))
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// outbox returns everything recorded so far.
func (w *world) outbox(t *testing.T) (records []event.Record) {
	t.Helper()
	err := w.store.Store.Read(t.Context(), func(tx store.Tx) (err error) {
		records, err = tx.Outbox().After(t.Context(), 0, 10_000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// stored is everything that the database holds, as whoever steals it sees it. The world
// must be closed.
func (w *world) stored(t *testing.T) string {
	t.Helper()
	if w.from.Dialect == sqlstore.PostgreSQL {
		location, err := url.Parse(w.from.Source.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		return must[string](t)(postgreSQL.Cluster(t).Dump(t.Context(), location.Path[1:]))
	}
	files, err := filepath.Glob(w.from.Source.Reveal() + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var all strings.Builder
	for _, file := range files {
		all.Write(must[[]byte](t)(os.ReadFile(file)))
	}
	return all.String()
}

// count says how many records of a type there are.
func (w *world) count(t *testing.T, kind postern.EventType) (n int) {
	t.Helper()
	for _, r := range w.outbox(t) {
		if r.Type == kind {
			n++
		}
	}
	return n
}

func refused(t *testing.T, err error, code postern.Code) {
	t.Helper()
	if !postern.HasCode(err, code) {
		t.Errorf("got %v, want %s (%s)", err, code, code.Entry().Title)
	}
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// none says that nothing is taken.
func none[T any](T) bool { return false }

// asker is an agent that says nothing about its machine.
func asker(c postern.Credential, endpoint string) service.Asker {
	return service.Asker{Credential: c, Endpoint: endpoint}
}
