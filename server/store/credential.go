package store

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
)

// Credential is a stored credential: one that was revoked stays, so that its end can
// be told from a token that never was.
type Credential struct {
	postern.Credential
	RevokedAt time.Time // zero while it is valid
}

// Revoked tells whether it was revoked.
func (c Credential) Revoked() bool { return !c.RevokedAt.IsZero() }

// Credentials are what agents connect with.
type Credentials interface {
	// Create fails with CodeConflict if the id exists, CodeNotFound if the account or
	// the owner does not.
	Create(ctx context.Context, c postern.Credential) error
	// Get returns a credential, revoked or not. It fails with CodeNotFound.
	Get(ctx context.Context, id postern.CredentialID) (Credential, error)
	// List returns up to limit valid credentials of every account whose id is greater
	// than after, by id.
	List(ctx context.Context, after postern.CredentialID, limit int) ([]postern.Credential, error)
	// Update gives a valid credential the description, metadata and ACL of c, and leaves
	// the rest. It fails with CodeNotFound if there is no valid credential of c's id.
	Update(ctx context.Context, c postern.Credential) error
	// Rotate replaces the verifier and the rotation of a valid credential. It fails with
	// CodeNotFound.
	Rotate(ctx context.Context, id postern.CredentialID, verifier [32]byte, r postern.Rotation) error
	// Revoke fails with CodeNotFound if there is no valid credential of this id: of
	// two who revoke, one succeeds.
	Revoke(ctx context.Context, id postern.CredentialID, at time.Time) error
}
