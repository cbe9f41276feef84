package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore/internal/query"
)

// Store is a store.Store on a SQL database.
type Store struct {
	dialect     Dialect
	write, read *sql.DB
	timeout     time.Duration // of a transaction on PostgreSQL
	patience    time.Duration // with another process's lock on SQLite
}

// writeLock makes writers of every node wait for each other before they look at
// anything, so that their transactions are serial and the outbox's numbers are committed
// in order. Readers do not wait for it. Transactions that PostgreSQL itself orders
// (SERIALIZABLE) were tried: all of them touch the outbox, so under load most were
// aborted, again and again.
const writeLock = "LOCK TABLE outbox_head IN EXCLUSIVE MODE"

// Read implements store.Store.
func (s *Store) Read(ctx context.Context, fn func(store.Tx) error) error {
	options := &sql.TxOptions{ReadOnly: true}
	if s.dialect == PostgreSQL {
		options.Isolation = sql.LevelRepeatableRead // one snapshot for all of fn
	}
	return s.run(ctx, s.read, options, "", fn)
}

// Write implements store.Store.
func (s *Store) Write(ctx context.Context, fn func(store.Tx) error) error {
	if s.dialect == PostgreSQL {
		// Behind the lock every statement sees all that was committed, which is what READ
		// COMMITTED means; a snapshot could be older than the lock.
		return s.run(ctx, s.write, &sql.TxOptions{Isolation: sql.LevelReadCommitted}, writeLock, fn)
	}
	return s.run(ctx, s.write, nil, "", fn) // BEGIN IMMEDIATE: one at a time
}

// Close implements store.Store.
func (s *Store) Close() error {
	if err := errors.Join(s.read.Close(), s.write.Close()); err != nil {
		return unavailable("the database did not close cleanly", err)
	}
	return nil
}

// run is one transaction: the statement first, where there is one, and fn.
func (s *Store) run(ctx context.Context, db *sql.DB, options *sql.TxOptions, first string, fn func(store.Tx) error) error {
	if s.dialect == PostgreSQL {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.timeout) // for its beginning and its end
		defer cancel()
	}
	sqlTx, err := s.begin(ctx, db, options)
	if err != nil {
		return translate(err)
	}
	defer func() { _ = sqlTx.Rollback() }() // does nothing after Commit; also when fn panics
	if first != "" {
		if _, err := sqlTx.ExecContext(ctx, first); err != nil {
			return translate(err)
		}
	}
	var queries query.DBTX = sqlTx
	if until, given := ctx.Deadline(); given && s.dialect == PostgreSQL {
		limited := &bounded{Tx: sqlTx, until: until}
		defer limited.end()
		queries = limited
	}
	if err := fn(tx{q: query.New(queries), db: queries, dialect: s.dialect}); err != nil {
		return err
	}
	return s.committed(sqlTx.Commit())
}

// committed tells apart a commit that was refused from one that nobody has answered. SQLite
// is in this process, and always answers.
func (s *Store) committed(err error) error {
	var refusal postgresError
	if err == nil || s.dialect != PostgreSQL || errors.As(err, &refusal) {
		return translate(err)
	}
	return unavailable("the connection to the database broke", fmt.Errorf("%w: %w", store.ErrInDoubt, err))
}

// begin begins a transaction. SQLite waits for another process's lock without looking at
// the context; so it waits shortly, and is asked again.
func (s *Store) begin(ctx context.Context, db *sql.DB, options *sql.TxOptions) (*sql.Tx, error) {
	for patience := time.Now().Add(s.patience); ; {
		tx, err := db.BeginTx(ctx, options)
		var lite sqliteError
		busy := errors.As(err, &lite) && lite.Code()&sqlitePrimary == sqliteBusy
		if !busy || ctx.Err() != nil || !time.Now().Before(patience) {
			return tx, err
		}
	}
}

// tx is a store.Tx: every aggregate's methods are on a type of its own over the same
// queries.
type tx struct {
	q       *query.Queries
	db      query.DBTX
	dialect Dialect
}

func (t tx) Accounts() store.Accounts { return accounts{t.q} }
func (t tx) Names() store.Names       { return names{t.q} }
func (t tx) Ports() store.Ports       { return ports{t.q} }
func (t tx) Settings() store.Settings { return settings{t.q} }
func (t tx) Outbox() store.Outbox     { return outbox{t.q} }
func (t tx) Cursors() store.Cursors   { return cursors{t.q} }
func (t tx) Limits() store.Limits     { return limits{t.q} }

// found turns the outcome of a query for one row into the contract's: what is missing
// is named.
func found(err error, what string, key any) error {
	if errors.Is(err, sql.ErrNoRows) {
		return postern.Errorf(postern.CodeNotFound, "there is no %s \"%v\"", what, key)
	}
	return translate(err)
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Tx    = tx{}
)
