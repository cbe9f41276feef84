package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"runtime"
	"time"

	"github.com/postern-dev/postern"
)

// Dialect is a kind of database.
type Dialect string

// The dialects.
const (
	SQLite     Dialect = "sqlite"
	PostgreSQL Dialect = "postgresql"
)

// Engine says which database to open, and how.
type Engine struct {
	Dialect Dialect

	// Driver is the name under which the caller's driver is registered with
	// database/sql. For SQLite it must be modernc.org/sqlite ("sqlite"), whose
	// connection parameters are used here.
	Driver string

	// Source is a file path for SQLite, created with mode 0600 where it is missing,
	// and a connection URL for PostgreSQL. It may hold a password.
	Source postern.Secret

	// Readers is how many connections read at the same time. 0 means as many as there
	// are processors, at least 2 for SQLite, where a read waits for little but a
	// processor and each connection keeps 200 KiB, and 4 for PostgreSQL. One more writes.
	Readers int

	// BusyTimeout is for how long SQLite waits for another process that holds the
	// write lock; 0 means 5 s. A context shortens it.
	BusyTimeout time.Duration

	// Timeout is for how long one transaction may take on PostgreSQL, where a network
	// lies in between; 0 means a minute. A context shortens it.
	Timeout time.Duration

	// Logger gets a line when the schema was changed, and at debug one per statement.
	Logger *slog.Logger
}

// busyStep is for how long SQLite itself waits: a context is not looked at meanwhile.
const busyStep = 200 * time.Millisecond

// walLimit is the size to which SQLite cuts the write-ahead log after a checkpoint.
const walLimit = 64 << 20

func (e Engine) withDefaults() (Engine, error) {
	if e.Dialect != SQLite && e.Dialect != PostgreSQL {
		return e, postern.Errorf(postern.CodeConfigInvalid, "database dialect %q is neither %s nor %s", e.Dialect, SQLite, PostgreSQL)
	}
	if e.Driver == "" || e.Source == "" {
		return e, postern.Errorf(postern.CodeConfigInvalid, "a database needs the name of its driver and a source")
	}
	if e.Readers <= 0 {
		e.Readers = max(leastReaders(e.Dialect), runtime.GOMAXPROCS(0))
	}
	if e.BusyTimeout <= 0 {
		e.BusyTimeout = 5 * time.Second
	}
	if e.Timeout <= 0 {
		e.Timeout = time.Minute
	}
	if e.Logger == nil {
		e.Logger = slog.New(slog.DiscardHandler)
	}
	return e, nil
}

func leastReaders(d Dialect) int {
	if d == PostgreSQL {
		return 4
	}
	return 2
}

// pools opens the connections that write and those that read.
func (e Engine) pools() (write, read *sql.DB, err error) {
	if e.Dialect == PostgreSQL {
		return e.postgresPools()
	}
	path := e.Source.Reveal()
	if err := touch(path); err != nil {
		return nil, nil, unavailable("the database file cannot be opened", err)
	}
	write, err = sql.Open(e.Driver, e.sqliteSource(path, true))
	if err != nil {
		return nil, nil, unavailable("the database driver cannot be used", err)
	}
	// One connection: SQLite has one writer anyway, and whoever waits in the pool obeys
	// its context, which nobody does who waits for SQLite's lock.
	write.SetMaxOpenConns(1)
	read, err = sql.Open(e.Driver, e.sqliteSource(path, false))
	if err != nil {
		_ = write.Close()
		return nil, nil, unavailable("the database driver cannot be used", err)
	}
	read.SetMaxOpenConns(e.Readers)
	read.SetMaxIdleConns(e.Readers)
	return write, read, nil
}

func (e Engine) sqliteSource(path string, writes bool) string {
	params := url.Values{"_dqs": {"0"}, "_defensive": {"1"}}
	params.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", min(e.BusyTimeout, busyStep).Milliseconds()))
	if writes {
		params.Set("_txlock", "immediate") // else two writers may deadlock when they upgrade
		params.Add("_pragma", "journal_mode(WAL)")
		params.Add("_pragma", "synchronous(FULL)")
		params.Add("_pragma", "foreign_keys(1)")
		params.Add("_pragma", fmt.Sprintf("journal_size_limit(%d)", walLimit))
	} else {
		params.Add("_pragma", "query_only(1)")
	}
	return fileURL(path, params)
}

// touch makes the file itself, because SQLite would make it readable for everybody;
// the files beside it (-wal, -shm) take over its mode.
func touch(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// Open connects, brings the schema up to date, and returns the store. A database that
// a newer version has written is CodeStoreNewer and left as it is. The caller must
// Close the store.
func Open(ctx context.Context, e Engine) (*Store, error) {
	e, err := e.withDefaults()
	if err != nil {
		return nil, err
	}
	write, read, err := e.pools()
	if err != nil {
		return nil, err
	}
	s := &Store{dialect: e.Dialect, write: write, read: read, timeout: e.Timeout, patience: e.BusyTimeout}
	if e.Dialect == PostgreSQL {
		err = e.migratePostgres(ctx)
	} else {
		err = migrate(ctx, e, write)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}
