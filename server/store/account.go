package store

import (
	"context"

	"github.com/postern-dev/postern"
)

// Accounts are the owners of everything else.
type Accounts interface {
	// Create fails with CodeConflict if the id exists.
	Create(ctx context.Context, a postern.Account) error
	// Get fails with CodeNotFound.
	Get(ctx context.Context, id postern.AccountID) (postern.Account, error)
	// List returns up to limit accounts whose id is greater than after, by id.
	List(ctx context.Context, after postern.AccountID, limit int) ([]postern.Account, error)
}
