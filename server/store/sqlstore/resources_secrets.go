package sqlstore

import "github.com/postern-dev/postern/server/store"

// The tables of what has secrets. Sealed columns are opaque: filters cannot ask for them.

func (t tx) Vaults() store.Rows[store.Vault] {
	return rowsOf(t, table[store.Vault, *store.Vault]{
		name: "vaults", what: "vault",
		columns: headColumns(column{"name", text}, column{"created_by", text}, column{"updated_by", text}),
		fields:  func(v *store.Vault) []any { return headFields(&v.Meta, &v.Name, &v.CreatedBy, &v.UpdatedBy) },
	})
}

func (t tx) VaultSecrets() store.Rows[store.VaultSecret] {
	return rowsOf(t, table[store.VaultSecret, *store.VaultSecret]{
		name: "vault_secrets", what: "secret",
		columns: headColumns(column{"vault_id", text}, column{"name", text}, column{"value", opaque}, column{"created_by", text}, column{"updated_by", text}),
		fields: func(s *store.VaultSecret) []any {
			return headFields(&s.Meta, &s.Vault, &s.Name, &s.Value, &s.CreatedBy, &s.UpdatedBy)
		},
	})
}
