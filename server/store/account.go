package store

import (
	"context"
	"time"

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

// APIKey lets a client of the REST API in. Like a credential's token, the key itself
// is never kept: Verifier is the SHA-256 of its secret half.
type APIKey struct {
	ID          postern.APIKeyID
	Account     postern.AccountID
	Owner       postern.UserID
	Description string
	Metadata    string
	Verifier    [32]byte
	Rotation    postern.Rotation
	CreatedAt   time.Time
}

// APIKeys are the keys of the REST API.
type APIKeys interface {
	// Create fails with CodeConflict if the id exists, CodeNotFound if the account or
	// the owner does not.
	Create(ctx context.Context, k APIKey) error
	// Get fails with CodeNotFound.
	Get(ctx context.Context, id postern.APIKeyID) (APIKey, error)
	// List returns up to limit keys of every account whose id is greater than after, by
	// id.
	List(ctx context.Context, after postern.APIKeyID, limit int) ([]APIKey, error)
	// Rotate works as Credentials.Rotate does.
	Rotate(ctx context.Context, id postern.APIKeyID, verifier [32]byte, r postern.Rotation) error
	// Delete fails with CodeNotFound.
	Delete(ctx context.Context, id postern.APIKeyID) error
}
