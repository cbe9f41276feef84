package service

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/idn"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

const (
	maxDescription = 255
	maxMetadata    = 4096
)

// Credentials are the use cases of credentials. Who may not administer the account makes,
// changes and deletes their own.
//
// Nobody is admitted with a deleted one from the moment Delete returns, and binds obey a
// new ACL from the moment Update does; live sessions learn of both by
// event.CredentialRevoked and event.CredentialUpdated on the bus, whose Subject is the id.
type Credentials struct {
	Collection[store.Credential, resource.Credential, resource.CredentialCreate, resource.CredentialUpdate, *store.Credential]
}

// Credentials returns the use cases of credentials.
func (s *Service) Credentials() *Credentials {
	return &Credentials{Collection[store.Credential, resource.Credential, resource.CredentialCreate, resource.CredentialUpdate, *store.Credential]{
		service: s, definition: resource.Credentials().Definition, rows: store.Tx.Credentials,
		scope: store.Equal("revoked_at", nil), empty: postern.CodeCredentialUnchanged,
		events: eventTypes{event.CredentialCreated, event.CredentialUpdated, event.CredentialRevoked},
		build:  s.buildCredential,
		change: func(d *draft, by Caller, row *store.Credential, u resource.CredentialUpdate) error {
			if err := by.mayChangeOf(row.Owner); err != nil {
				return err
			}
			if err := sameOwner(postern.CodeCredentialOwnerFixed, row.Owner, u.OwnerID); err != nil {
				return err
			}
			return s.changeCredential(d, by, row, CredentialUpdate{u.Description, u.Metadata, u.ACL})
		},
		release: func(_ *draft, by Caller, row *store.Credential) error { return by.mayChangeOf(row.Owner) },
		remove:  s.revoke,
		show:    func(_ reader, row *store.Credential) (resource.Credential, error) { return s.showCredential(row), nil },
		stored:  map[string]string{"owner_id": "owner_id"},
	}}
}

// Create makes a credential. Its token is in the answer, and nowhere else.
func (k *Credentials) Create(ctx context.Context, by Caller, c resource.CredentialCreate) (resource.Credential, error) {
	var token postern.Secret
	made, err := k.create(ctx, by, c, func(d *draft, by Caller, row *store.Credential, c resource.CredentialCreate) error {
		token, row.Verifier = newToken(row.ID)
		return k.build(d, by, row, c)
	})
	if err == nil {
		made.Token = shownOnce(token)
	}
	return made, err
}

// Rotate replaces the token, as Service.RotateCredential does; the new one is in the
// answer.
func (k *Credentials) Rotate(ctx context.Context, by Caller, id string, r resource.Rotation) (resource.Credential, error) {
	overlap, err := overlapOf(r)
	if err != nil {
		return resource.Credential{}, err
	}
	credential, token, err := k.service.RotateCredential(ctx, by, postern.CredentialID(id), overlap)
	if err != nil {
		return resource.Credential{}, err
	}
	row := store.CredentialOf(credential)
	shown := k.service.showCredential(&row)
	shown.Token = shownOnce(token)
	return shown, nil
}

func (s *Service) buildCredential(d *draft, by Caller, row *store.Credential, c resource.CredentialCreate) error {
	if c.PrecomputedToken != nil {
		return &postern.Error{Code: postern.CodeTokenPrecomputed}
	}
	owner, err := d.ownerFor(by, ownerChoice{c.OwnerID, c.OwnerEmail, c.SCIMUserID})
	if err != nil {
		return err
	}
	row.Owner, row.Description, row.Metadata = postern.UserID(owner.ID), c.Description, c.Metadata
	if row.ACL, err = parseACL(c.ACL); err != nil {
		return err
	}
	account, err := d.Accounts().Get(d.ctx, row.Account)
	if err != nil {
		return err
	}
	d.committed = append(d.committed, func() { s.known.change(holder{credential: row.Credential(), account: account}) })
	count, err := d.Credentials().Count(d.ctx, row.Account, store.Equal("revoked_at", nil))
	if err != nil {
		return err
	}
	return s.roomForKey(count, postern.CodeCredentialLimit, "credentials")
}

// changeCredential applies a change to a row. Whoever takes every limit of a credential
// away leaves a trace of its own, event.CredentialUnrestricted.
func (s *Service) changeCredential(d *draft, by Caller, row *store.Credential, u CredentialUpdate) error {
	set(&row.Description, u.Description)
	set(&row.Metadata, u.Metadata)
	if u.ACL != nil {
		acl, err := parseACL(*u.ACL)
		if err != nil {
			return err
		}
		widened := !row.ACL.Unrestricted() && acl.Unrestricted()
		row.ACL = acl
		if widened {
			if err := d.recordBy(by, event.CredentialUnrestricted, row.Account, row.ID, s.showCredential(row)); err != nil {
				return err
			}
		}
	}
	account, err := d.Accounts().Get(d.ctx, row.Account)
	if err != nil {
		return err
	}
	d.committed = append(d.committed, func() { s.known.change(holder{credential: row.Credential(), account: account}) })
	return nil
}

// revoke ends a credential for good. Its row stays.
func (s *Service) revoke(d *draft, row *store.Credential) error {
	id := postern.CredentialID(row.ID)
	row.RevokedAt = d.now
	d.committed = append(d.committed, func() { s.known.revoke(id) })
	return d.Credentials().Update(d.ctx, *row)
}

func (s *Service) showCredential(row *store.Credential) resource.Credential {
	owner := string(row.Owner)
	return resource.Credential{
		Identity: s.identity(resource.Credentials().Definition, &row.Meta), Notes: notes(&row.Meta),
		ACL: row.ACL.Strings(), OwnerID: &owner,
	}
}

// createCredential gives c its id, time and token, and stores it.
func (s *Service) createCredential(d *draft, account postern.Account, c *postern.Credential) (postern.Secret, error) {
	c.ID, c.CreatedAt = postern.CredentialID(newID(credentialPrefix, d.now)), d.now
	token, verifier := newToken(string(c.ID))
	c.Verifier = verifier
	row := store.CredentialOf(*c)
	if err := d.Credentials().Create(d.ctx, row); err != nil {
		return "", err
	}
	made := holder{credential: *c, account: account}
	d.committed = append(d.committed, func() { s.known.change(made) })
	return token, d.record(event.CredentialCreated, c.Account, string(c.ID), s.showCredential(&row))
}

// validCredential is the row of a credential that was not revoked.
func (d *draft) validCredential(id postern.CredentialID) (store.Credential, error) {
	row, err := d.Credentials().Get(d.ctx, "", string(id))
	if err == nil && row.Revoked() {
		err = wasRevoked(id)
	}
	return row, err
}

// parseACL is postern.ParseACL for rules that people typed: names in them become
// A-labels first. Labels are no names and stay.
func parseACL(rules []string) (postern.ACL, error) {
	texts := make([]string, len(rules))
	for i, rule := range rules {
		texts[i] = rule
		if len(rule) > postern.MaxACLRule || strings.Contains(rule, "=") {
			continue
		}
		kind, name, found := strings.Cut(rule, ":")
		ascii, err := idn.URLToASCII(name)
		if err != nil {
			return nil, postern.Errorf(postern.CodeACLInvalid, "ACL rule %.120q: %s", rule, postern.AsError(err).Text())
		}
		if found {
			texts[i] = kind + ":" + ascii
		}
	}
	return postern.ParseACL(texts)
}

func wasRevoked(id postern.CredentialID) error {
	return postern.Errorf(postern.CodeNotFound, "credential %q was revoked", id)
}

func checkTexts(description, metadata string) error {
	if err := checkText("description", description, maxDescription); err != nil {
		return err
	}
	return checkText("metadata", metadata, maxMetadata)
}

// checkText refuses what PostgreSQL could not store, so that both databases take the
// same.
func checkText(field, text string, most int) error {
	if len(text) > most {
		return postern.Errorf(postern.CodeFieldInvalid, "%s has %d bytes, at most %d are allowed", field, len(text), most)
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return postern.Errorf(postern.CodeFieldInvalid, "%s must be UTF-8 text without NUL", field)
	}
	return nil
}
