package service

import (
	"context"
	"fmt"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// VaultSecrets are the use cases of secrets.
type VaultSecrets = Collection[store.VaultSecret, resource.VaultSecret, resource.VaultSecretCreate, resource.VaultSecretUpdate, *store.VaultSecret]

const (
	// maxSecretValue bounds a secret, in bytes.
	maxSecretValue = 64 << 10

	// Where values are sealed: neither may change.
	sealedSecret, sealedValue = "vault_secret", "value"
)

// VaultSecrets returns the use cases of secrets.
func (s *Service) VaultSecrets() *VaultSecrets {
	definition := resource.VaultSecrets().Definition
	return &VaultSecrets{
		service: s, definition: definition, rows: store.Tx.VaultSecrets,
		stored: map[string]string{"name": "name", "vault.id": "vault_id", "created_by.id": "created_by", "last_updated_by.id": "updated_by", "updated_at": "updated_at"},
		events: eventTypes{event.SecretCreated, event.SecretUpdated, event.SecretDeleted},
		build: func(d *draft, by Caller, row *store.VaultSecret, c resource.VaultSecretCreate) error {
			row.Description, row.Metadata = c.Description, c.Metadata
			row.CreatedBy, row.UpdatedBy = by.Principal, by.Principal
			vault, err := vaultOf(d, by, c.VaultID, c.VaultName)
			if err != nil {
				return err
			}
			row.Vault, row.Name = vault.ID, c.Name
			if err := checkSecretName(d, row, vault.Name); err != nil {
				return err
			}
			return s.setSecretValue(d, row, c.Value)
		},
		change: func(d *draft, by Caller, row *store.VaultSecret, u resource.VaultSecretUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			row.UpdatedBy = by.Principal
			if u.Name != nil && *u.Name != row.Name {
				vault, err := d.Vaults().Get(d.ctx, row.Account, row.Vault)
				if err != nil {
					return err
				}
				if err := d.secretUnnamed(row, vault.Name); err != nil {
					return err
				}
				row.Name = *u.Name
				if err := checkSecretName(d, row, vault.Name); err != nil {
					return err
				}
			}
			if u.Value == nil {
				return nil
			}
			return s.setSecretValue(d, row, *u.Value)
		},
		release: func(d *draft, _ Caller, row *store.VaultSecret) error {
			vault, err := d.Vaults().Get(d.ctx, row.Account, row.Vault)
			if err != nil {
				return err
			}
			return d.secretUnnamed(row, vault.Name)
		},
		show: func(r reader, row *store.VaultSecret) (resource.VaultSecret, error) {
			vault, err := r.Vaults().Get(r.ctx, row.Account, row.Vault)
			if err != nil {
				return resource.VaultSecret{}, err
			}
			return resource.VaultSecret{
				Identity: s.identity(definition, &row.Meta), UpdatedAt: resource.Moment(row.UpdatedAt), Name: row.Name, Notes: notes(&row.Meta),
				CreatedBy: resource.Ref{ID: string(row.CreatedBy)}, LastUpdatedBy: resource.Ref{ID: string(row.UpdatedBy)},
				Vault: *s.ref(resource.Vaults().Definition, vault.ID), VaultName: vault.Name,
			}, nil
		},
	}
}

// secretUnnamed refuses to take a secret away from policies that read it.
func (d *draft) secretUnnamed(row *store.VaultSecret, vault string) error {
	return d.unnamed(row.Account, fmt.Sprintf("the secret %q of the vault %q", row.Name, vault), reads(vault, row.Name))
}

// SecretValue opens a secret for what uses it in the account's name, such as a traffic
// policy. Nothing that answers a client may pass it on. A vault or secret that is not
// there is CodeSecretVaultUnknown or CodeNotFound.
func (s *Service) SecretValue(ctx context.Context, account postern.AccountID, vault, name string) (value postern.Secret, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		within, err := vaultNamed(ctx, tx, account, vault)
		if err != nil {
			return err
		}
		found, err := tx.VaultSecrets().List(ctx, store.Page{Account: account, Limit: 1,
			Where: store.And{store.Equal("vault_id", within.ID), store.Equal("name", name)}})
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return postern.Errorf(postern.CodeNotFound, "the vault %q has no secret %q", vault, name)
		}
		opened, err := s.unseal(sealedSecret, found[0].ID, sealedValue, found[0].Value)
		value = postern.Secret(opened)
		return err
	})
	return value, err
}

// vaultOf finds the vault that a secret is to be in, by its id, its name, or both.
func vaultOf(d *draft, by Caller, id, name string) (store.Vault, error) {
	switch {
	case id == "" && name == "":
		return store.Vault{}, postern.Errorf(postern.CodeSecretVaultMissing, "neither \"vault_id\" nor \"vault_name\" is given")
	case id == "":
		return vaultNamed(d.ctx, d.Tx, by.Account, name)
	}
	vault, err := d.Vaults().Get(d.ctx, by.Account, id)
	switch {
	case postern.HasCode(err, postern.CodeNotFound):
		return vault, postern.Errorf(postern.CodeSecretVaultUnknown, "there is no vault with the id %q", clip(id))
	case err == nil && name != "" && name != vault.Name:
		return vault, postern.Errorf(postern.CodeValueInvalid, "\"vault_id\" is the vault %q and \"vault_name\" is %q; give one of them", vault.Name, clip(name))
	}
	return vault, err
}

func vaultNamed(ctx context.Context, tx store.Tx, account postern.AccountID, name string) (store.Vault, error) {
	if placeNameFault(name) == "" {
		found, err := tx.Vaults().List(ctx, store.Page{Account: account, Limit: 1, Where: store.Equal("name", name)})
		if err != nil {
			return store.Vault{}, err
		}
		if len(found) > 0 {
			return found[0], nil
		}
	}
	return store.Vault{}, postern.Errorf(postern.CodeSecretVaultNameUnknown, "there is no vault with the name %q", clip(name))
}

func checkSecretName(d *draft, row *store.VaultSecret, vault string) error {
	if row.Name == "" {
		return postern.Errorf(postern.CodeSecretNameMissing, "the field \"name\" is empty")
	}
	if fault := placeNameFault(row.Name); fault != "" {
		return postern.Errorf(postern.CodeSecretNameInvalid, "the name %q of a secret %s", clip(row.Name), fault)
	}
	same, err := d.VaultSecrets().List(d.ctx, store.Page{Account: row.Account, Limit: 1,
		Where: store.And{store.Equal("vault_id", row.Vault), store.Equal("name", row.Name)}})
	if err == nil && len(same) > 0 {
		err = postern.Errorf(postern.CodeSecretNameTaken, "the vault %q has a secret %q already", vault, row.Name)
	}
	return err
}

func (s *Service) setSecretValue(d *draft, row *store.VaultSecret, value string) (err error) {
	switch {
	case value == "":
		return postern.Errorf(postern.CodeSecretValueMissing, "the field \"value\" is empty")
	case len(value) > maxSecretValue:
		return postern.Errorf(postern.CodeSecretValueTooLong, "the value has %d bytes, at most %d are allowed", len(value), maxSecretValue)
	}
	row.Value, err = s.seal(d, sealedSecret, row.ID, sealedValue, []byte(value))
	return err
}
