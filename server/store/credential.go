package store

import (
	"time"

	"github.com/postern-dev/postern"
)

// Credential is a stored credential: one that was revoked stays, so that its end can
// be told from a token that never was.
type Credential struct {
	Meta
	Owner     postern.UserID
	ACL       postern.ACL
	Verifier  [32]byte
	Rotation  postern.Rotation
	RevokedAt time.Time // zero while it is valid
}

// Revoked tells whether it was revoked.
func (c Credential) Revoked() bool { return !c.RevokedAt.IsZero() }

// Credential is what was stored.
func (c Credential) Credential() postern.Credential {
	return postern.Credential{
		ID: postern.CredentialID(c.ID), Account: c.Account, Owner: c.Owner, Description: c.Description, Metadata: c.Metadata,
		ACL: c.ACL, Verifier: c.Verifier, Rotation: c.Rotation, CreatedAt: c.CreatedAt,
	}
}

// CredentialOf is the row of a credential that was just made.
func CredentialOf(c postern.Credential) Credential {
	return Credential{
		Meta: Meta{
			ID: string(c.ID), Account: c.Account, Description: c.Description, Metadata: c.Metadata,
			CreatedAt: c.CreatedAt, UpdatedAt: c.CreatedAt,
		},
		Owner: c.Owner, ACL: c.ACL, Verifier: c.Verifier, Rotation: c.Rotation,
	}
}

// APIKey lets a client of the REST API in. Like a credential's token, the key itself
// is never kept: Verifier is the SHA-256 of its secret half.
type APIKey struct {
	Meta
	Owner    postern.UserID
	Verifier [32]byte
	Rotation postern.Rotation
}
