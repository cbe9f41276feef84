package store

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
)

// Rows are the rows of one kind of resource, which R is. Every R begins with a Meta.
type Rows[R any] interface {
	// Create fails with CodeConflict if the id exists, or something else that there may
	// be only one of; and with CodeNotFound if something that the row refers to does
	// not exist.
	Create(ctx context.Context, row R) error

	// Get returns the row of an account. It fails with CodeNotFound, also for rows of
	// other accounts; an empty account stands for all of them.
	Get(ctx context.Context, account postern.AccountID, id string) (R, error)

	// List returns rows, the newest first.
	List(ctx context.Context, p Page) ([]R, error)

	// Count says how many rows of an account where selects; nil: all.
	Count(ctx context.Context, account postern.AccountID, where Filter) (int64, error)

	// Update replaces the row of that account and id. It fails as Create does, and with
	// CodeNotFound.
	Update(ctx context.Context, row R) error

	// Delete fails with CodeNotFound, and with CodeConflict if another row refers to it.
	Delete(ctx context.Context, account postern.AccountID, id string) error
}

// Page says which rows are wanted.
type Page struct {
	Account postern.AccountID // empty: those of every account
	Before  string            // only rows whose id sorts before it, empty: all
	Limit   int
	Where   Filter // nil: all
}

// Meta is what the row of every resource begins with.
type Meta struct {
	ID          string
	Account     postern.AccountID
	Description string
	Metadata    string
	CreatedAt   time.Time
	UpdatedAt   time.Time
}

// Head is the Meta itself; it makes every row that embeds it a Headed.
func (m *Meta) Head() *Meta { return m }

// Headed is a pointer to a row.
type Headed[R any] interface {
	*R
	Head() *Meta
}
