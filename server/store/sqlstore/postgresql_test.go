package sqlstore_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
	"github.com/postern-dev/postern/server/store/storetest"
)

func postgresEngine(source string) sqlstore.Engine {
	return sqlstore.Engine{Dialect: sqlstore.PostgreSQL, Driver: "pgx", Source: postern.Secret(source)}
}

func openPostgres(t testing.TB, source string) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), postgresEngine(source))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformanceOfPostgreSQL(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openPostgres(t, postgreSQL.Database(t)) })
}

// Servers that start together on one empty database: one of them migrates.
func TestServersThatStartTogetherMigrateOnce(t *testing.T) {
	source := postgreSQL.Database(t)
	const servers = 4
	logs := make([]strings.Builder, servers)
	var group sync.WaitGroup
	for i := range servers {
		group.Go(func() {
			e := postgresEngine(source)
			e.Logger = slog.New(slog.NewTextHandler(&logs[i], nil))
			s, err := sqlstore.Open(t.Context(), e)
			if err != nil {
				t.Errorf("server %d: %v", i, err)
				return
			}
			if err := put(t.Context(), s, fmt.Sprint(i), "here"); err != nil {
				t.Errorf("server %d: %v", i, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	migrated := 0
	for i := range logs {
		migrated += strings.Count(logs[i].String(), "database migrated")
	}
	var rows int
	if err := openPostgres(t, source).WriteDB().QueryRow("SELECT count(*) FROM goose_db_version WHERE version_id > 0").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || migrated != 1 || rows != len(files) {
		t.Errorf("%d servers migrated, %d versions are noted; want 1 and %d (%v)", migrated, rows, len(files), err)
	}
}

// What a locale orders otherwise, and every column that is paged by or searched for a
// prefix, compares bytes in the schema that is really there.
func TestColumnsOfPostgreSQLCompareAsBytes(t *testing.T) {
	rows, err := openPostgres(t, postgreSQL.Database(t)).WriteDB().Query(`SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C' ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var loose []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		loose = append(loose, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, name := range loose {
		if column := name[strings.Index(name, ".")+1:]; strings.HasSuffix(column, "id") || slices.Contains([]string{"host", "tree_key", "key"}, column) {
			t.Errorf("%s is ordered by the database's locale", name)
		}
	}
	if len(loose) == 0 {
		t.Error("every text column compares bytes: is this the locale that the test asks for?")
	}
}

func TestNewerPostgreSQLIsRefused(t *testing.T) {
	source := postgreSQL.Database(t)
	s := openPostgres(t, source)
	if _, err := s.WriteDB().Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)"); err != nil {
		t.Fatal(err)
	}
	_, err := sqlstore.Open(t.Context(), postgresEngine(source))
	if !postern.HasCode(err, postern.CodeStoreNewer) || !strings.Contains(err.Error(), "99999") {
		t.Fatalf("got %v, want CodeStoreNewer with the version", err)
	}
}

// chain is everything that a log could show of an error.
func chain(err error) string {
	text := fmt.Sprintf("%+v %#v", err, err)
	for coded := postern.AsError(err); coded.Cause != nil; {
		text += fmt.Sprintf(" %+v %#v", coded.Cause, coded.Cause)
		next, ok := coded.Cause.(*postern.Error) //nolint:errorlint // one step at a time
		if !ok {
			break
		}
		coded = next
	}
	return text
}

// Who cannot connect learns what to change, and no log learns the password.
func TestPostgreSQLThatTakesNoConnection(t *testing.T) {
	location, err := url.Parse(postgreSQL.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	const password = "s3cret p@ss" //nolint:gosec // of nobody
	with := func(change func(*url.URL)) string {
		changed := *location
		changed.User = url.UserPassword("postgres", password)
		change(&changed)
		return changed.String()
	}
	nobody := ports.Address(t)
	right := location.User
	for name, test := range map[string]struct {
		source string
		code   postern.Code
		says   string
	}{
		"password": {with(func(*url.URL) {}), postern.CodeStoreUnavailable, "refuses the user or the password"},
		"user":     {with(func(u *url.URL) { u.User = url.UserPassword("nobody", password) }), postern.CodeStoreUnavailable, "refuses the user or the password"},
		"database": {with(func(u *url.URL) { u.User, u.Path = right, "/absent" }), postern.CodeStoreUnavailable, `has no database "absent"`},
		"nobody":   {with(func(u *url.URL) { u.Host = nobody }), postern.CodeStoreUnavailable, "the database at " + nobody + " cannot be reached: connection refused"},
		"name":     {with(func(u *url.URL) { u.Host = "no-such-host.invalid" }), postern.CodeStoreUnavailable, "no-such-host.invalid cannot be reached"},
		"tls":      {with(func(u *url.URL) { u.RawQuery = "sslmode=require" }), postern.CodeStoreUnavailable, "cannot be reached: server refused TLS connection"},
		"option":   {with(func(u *url.URL) { u.RawQuery = "sslmode=perhaps&password=" + url.QueryEscape(password) }), postern.CodeStoreUnavailable, "sslmode is invalid"},
		"scheme":   {with(func(u *url.URL) { u.Scheme = "mysql" }), postern.CodeConfigInvalid, "not a URL such as postgres://"},
		"garbage":  {"postgres://u:" + password + "%zz", postern.CodeConfigInvalid, "not a URL such as postgres://"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := sqlstore.Open(t.Context(), postgresEngine(test.source))
			if !postern.HasCode(err, test.code) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %s that says %q", err, test.code, test.says)
			}
			for _, spelling := range []string{password, url.QueryEscape(password), url.PathEscape(password), "s3cret"} {
				if strings.Contains(chain(err), spelling) {
					t.Errorf("the password is in %s", chain(err))
				}
			}
		})
	}
}

// A server that has vanished in the middle of a transaction does not keep the lock, and
// nobody waits for a database that says nothing longer than the transaction's time.
func TestTransactionsOnPostgreSQLEnd(t *testing.T) {
	source := postgreSQL.Database(t)
	e := postgresEngine(source + "?idle_in_transaction_session_timeout=200ms")
	e.Timeout = 2 * time.Second
	s, err := sqlstore.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	started, done := make(chan struct{}), make(chan error)
	other := openPostgres(t, source)
	release := make(chan struct{})
	go func() { // it has vanished: it says neither commit nor rollback
		done <- s.Write(context.Background(), func(store.Tx) error {
			close(started)
			<-release
			return nil
		})
	}()
	<-started
	if err := put(t.Context(), other, "k", "v"); err != nil { // waits for the lock, and gets it
		t.Errorf("the lock of a server that vanished: %v", err)
	}
	close(release)
	if err := <-done; !postern.HasCode(err, postern.CodeStoreUnavailable) {
		t.Errorf("a transaction whose session was ended: %v", err)
	}
	// A query that takes too long ends although its own context would wait for ever.
	begun := time.Now()
	err = s.Write(context.Background(), func(store.Tx) error {
		return put(context.Background(), s, "nested", "waits for the one connection that writes")
	})
	if !postern.HasCode(err, postern.CodeStoreUnavailable) || time.Since(begun) > 10*time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	if err := put(t.Context(), s, "k", "after"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// B5-19: a database that was stopped and comes back is used again, without anybody's
// doing anything.
func TestPostgreSQLThatComesBack(t *testing.T) {
	s := openPostgres(t, postgreSQL.Database(t))
	if err := put(t.Context(), s, "k", "before"); err != nil {
		t.Fatal(err)
	}
	cluster := postgreSQL.Cluster(t)
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), s, "k", "meanwhile"); !postern.HasCode(err, postern.CodeStoreUnavailable) {
		t.Errorf("a write to a database that is gone: %v", err)
	}
	if _, err := get(t.Context(), s, "k"); !postern.HasCode(err, postern.CodeStoreUnavailable) {
		t.Errorf("a read from a database that is gone: %v", err)
	}
	if err := cluster.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), s, "k2", "after"); err != nil {
		t.Errorf("a write afterwards: %v", err)
	}
	if value, err := get(t.Context(), s, "k"); value != "before" || err != nil {
		t.Errorf("a read afterwards: %q, %v", value, err)
	}
}
