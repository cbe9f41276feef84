package resource

import "time"

// VaultSecret is a value in a vault that can be used and not read.
type VaultSecret struct {
	Identity
	UpdatedAt time.Time `json:"updated_at" doc:"When it was last changed: RFC 3339, in UTC, whole seconds."`
	Name      string    `json:"name" doc:"Its name, unique within the vault."`
	Notes
	CreatedBy     Ref    `json:"created_by" doc:"The user or service user that made it."`
	LastUpdatedBy Ref    `json:"last_updated_by" doc:"The user or service user that changed it last."`
	Vault         Ref    `json:"vault" doc:"The vault that it is in."`
	VaultName     string `json:"vault_name" doc:"The name of the vault that it is in."`
}

// VaultSecretCreate makes a VaultSecret.
type VaultSecretCreate struct {
	Name        string `json:"name,omitzero" api:"required,checked" doc:"Its name, unique within the vault: letters, digits and _ / . - only."`
	Value       string `json:"value,omitzero" api:"required,checked,secret" doc:"The secret itself, up to 65536 bytes; no answer shows it."`
	VaultID     string `json:"vault_id,omitzero" doc:"The vault that it is to be in; this or vault_name is required."`
	VaultName   string `json:"vault_name,omitzero" doc:"The name of the vault that it is to be in."`
	Description string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// VaultSecretUpdate changes a VaultSecret; what is nil stays.
type VaultSecretUpdate struct {
	Name        *string `json:"name,omitzero" doc:"Another name."`
	Value       *string `json:"value,omitzero" api:"secret" doc:"Another value, up to 65536 bytes; no answer shows it."`
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// VaultSecrets are the secrets in the account's vaults.
func VaultSecrets() Collection[VaultSecret, VaultSecretCreate, VaultSecretUpdate] {
	return Define[VaultSecret, VaultSecretCreate, VaultSecretUpdate](Definition{
		Name: "vault_secrets", Singular: "secret", ListKey: "secrets", Prefixes: []string{"secret"}, Operations: All,
		Doc: "A value in a vault, which traffic policies can use and nobody can read back.",
	})
}
