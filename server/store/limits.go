package store

import (
	"context"

	"github.com/postern-dev/postern"
)

// LimitsRow is what one account or credential may use, where that is not the server's
// own.
type LimitsRow struct {
	Subject   string // id of the account or credential
	Account   postern.AccountID
	Overrides postern.LimitOverrides
}

// Limits are those of accounts and credentials that have some of their own.
type Limits interface {
	// Put replaces the row of a subject; one without overrides is removed. It fails with
	// CodeNotFound if the account does not exist.
	Put(ctx context.Context, row LimitsRow) error
	// Get returns no overrides for a subject without a row.
	Get(ctx context.Context, subject string) (postern.LimitOverrides, error)
	// List returns up to limit rows whose subject sorts after after, by subject.
	List(ctx context.Context, after string, limit int) ([]LimitsRow, error)
}
