package service

import (
	"context"
	"fmt"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// Vaults are the use cases of vaults.
type Vaults = Collection[store.Vault, resource.Vault, resource.VaultCreate, resource.VaultUpdate, *store.Vault]

// Vaults returns the use cases of vaults.
func (s *Service) Vaults() *Vaults {
	definition := resource.Vaults().Definition
	return &Vaults{
		service: s, definition: definition, rows: store.Tx.Vaults,
		stored: map[string]string{"name": "name", "created_by": "created_by", "last_updated_by": "updated_by", "updated_at": "updated_at"},
		events: eventTypes{event.VaultCreated, event.VaultUpdated, event.VaultDeleted},
		build: func(d *draft, by Caller, row *store.Vault, c resource.VaultCreate) error {
			row.Description, row.Metadata = c.Description, c.Metadata
			row.Name, row.CreatedBy, row.UpdatedBy = c.Name, by.Principal, by.Principal
			return checkVaultName(d, row)
		},
		change: func(d *draft, by Caller, row *store.Vault, u resource.VaultUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			row.UpdatedBy = by.Principal
			if u.Name == nil || *u.Name == row.Name {
				return nil
			}
			if err := d.unnamed(row.Account, fmt.Sprintf("the vault %q", row.Name), reads(row.Name, "")); err != nil {
				return err
			}
			row.Name = *u.Name
			return checkVaultName(d, row)
		},
		release: func(d *draft, _ Caller, row *store.Vault) error {
			kept, err := d.VaultSecrets().List(d.ctx, store.Page{Account: row.Account, Limit: 1, Where: store.Equal("vault_id", row.ID)})
			if err == nil && len(kept) > 0 {
				err = postern.Errorf(postern.CodeVaultNotEmpty, "the vault %q still has secrets, %q among them", row.Name, kept[0].Name)
			}
			return err
		},
		show: func(_ reader, row *store.Vault) (resource.Vault, error) {
			return resource.Vault{
				Identity: s.identity(definition, &row.Meta), UpdatedAt: resource.Moment(row.UpdatedAt), Name: row.Name, Notes: notes(&row.Meta),
				CreatedBy: string(row.CreatedBy), LastUpdatedBy: string(row.UpdatedBy),
			}, nil
		},
	}
}

// VaultContents returns a page of the secrets in one vault.
func (s *Service) VaultContents(ctx context.Context, by Caller, vault string, p Page) (List[resource.VaultSecret], error) {
	if _, err := s.Vaults().Get(ctx, by, vault); err != nil {
		return List[resource.VaultSecret]{}, err
	}
	p.Where = store.All(store.Equal("vault_id", vault), p.Where)
	return s.VaultSecrets().List(ctx, by, p)
}

// maxPlaceName bounds the names of vaults and secrets, in bytes.
const maxPlaceName = 255

func checkVaultName(d *draft, row *store.Vault) error {
	if row.Name == "" {
		return postern.Errorf(postern.CodeVaultNameMissing, "the field \"name\" is empty")
	}
	if fault := placeNameFault(row.Name); fault != "" {
		return postern.Errorf(postern.CodeVaultNameInvalid, "the name %q of a vault %s", clip(row.Name), fault)
	}
	same, err := d.Vaults().List(d.ctx, store.Page{Account: row.Account, Limit: 1, Where: store.Equal("name", row.Name)})
	if err == nil && len(same) > 0 {
		err = postern.Errorf(postern.CodeVaultNameTaken, "the vault %s has the name %q already", same[0].ID, row.Name)
	}
	return err
}

// placeNameFault says what is wrong with the name of a vault or secret. Policies name a
// secret by both, so there is nothing in them that would need to be quoted.
func placeNameFault(name string) string {
	if len(name) > maxPlaceName {
		return "is longer than 255 characters"
	}
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '_' && c != '/' && c != '.' && c != '-' {
			return "may have letters (a-z, A-Z), digits and _ / . - only"
		}
	}
	return ""
}
