package sqlstore

import (
	"context"
	"database/sql"
	"time"
)

// bounded gives every query of a transaction the transaction's deadline, also where its
// caller brings a context without one: a server that has vanished from the network
// answers neither yes nor no. It is for one goroutine.
type bounded struct {
	*sql.Tx
	until time.Time
	ends  []context.CancelFunc
}

// within bounds a context. What it holds is released by end: a query's rows are read
// with it after the query has returned.
func (b *bounded) within(ctx context.Context) context.Context {
	if own, given := ctx.Deadline(); given && own.Before(b.until) {
		return ctx
	}
	ctx, cancel := context.WithDeadline(ctx, b.until)
	b.ends = append(b.ends, cancel)
	return ctx
}

func (b *bounded) end() {
	for _, cancel := range b.ends {
		cancel()
	}
}

// ExecContext, PrepareContext, QueryContext and QueryRowContext are *sql.Tx's.
func (b *bounded) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return b.Tx.ExecContext(b.within(ctx), query, args...)
}

func (b *bounded) PrepareContext(ctx context.Context, query string) (*sql.Stmt, error) {
	return b.Tx.PrepareContext(b.within(ctx), query)
}

func (b *bounded) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return b.Tx.QueryContext(b.within(ctx), query, args...)
}

func (b *bounded) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return b.Tx.QueryRowContext(b.within(ctx), query, args...)
}
