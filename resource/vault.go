package resource

import (
	"net/http"
	"reflect"
	"time"
)

// Vault is a named place for secrets.
type Vault struct {
	Identity
	UpdatedAt time.Time `json:"updated_at" doc:"When it was last changed: RFC 3339, in UTC, whole seconds."`
	Name      string    `json:"name" doc:"Its name, unique within the account."`
	Notes
	CreatedBy     string `json:"created_by" doc:"The id of the user or service user that made it."`
	LastUpdatedBy string `json:"last_updated_by" doc:"The id of the user or service user that changed it last."`
}

// VaultCreate makes a Vault.
type VaultCreate struct {
	Name        string `json:"name,omitzero" api:"required,checked" doc:"Its name, unique within the account: letters, digits and _ / . - only."`
	Description string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// VaultUpdate changes a Vault; what is nil stays.
type VaultUpdate struct {
	Name        *string `json:"name,omitzero" doc:"Another name. What refers to the vault's secrets by the old one no longer finds them."`
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// Vaults are the account's vaults.
func Vaults() Collection[Vault, VaultCreate, VaultUpdate] {
	return Define[Vault, VaultCreate, VaultUpdate](Definition{
		Name: "vaults", Singular: "vault", Prefixes: []string{"vault"}, Operations: All,
		Routes: []Route{{
			Method: http.MethodGet, Path: "/{id}/secrets", Doc: "The secrets in one vault.",
			Answer: reflect.TypeFor[VaultSecret](), Status: http.StatusOK, ListKey: VaultSecrets().ListKey, Paged: true,
		}},
		Doc: "A named place for secrets. It can be deleted once it is empty.",
	})
}
