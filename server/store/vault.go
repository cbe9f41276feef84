package store

import "github.com/postern-dev/postern"

// Vault is a named place for secrets. There is one of a name in an account.
type Vault struct {
	Meta
	Name                 string
	CreatedBy, UpdatedBy postern.UserID
}

// VaultSecret is a secret in a vault. There is one of a name in a vault.
type VaultSecret struct {
	Meta
	Vault                string // its id
	Name                 string
	Value                []byte // sealed
	CreatedBy, UpdatedBy postern.UserID
}
