package service

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/idn"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

const (
	maxDescription = 255
	maxMetadata    = 4096
)

// NewCredential is what a credential is made from.
type NewCredential struct {
	Account     postern.AccountID
	Owner       postern.UserID
	Description string   // up to 255 bytes
	Metadata    string   // up to 4096 bytes, for programs
	ACL         []string // rules; empty allows everything
}

// CreateCredential makes a credential and returns it with its token, which is not kept
// anywhere. Errors: CodeACLInvalid, CodeFieldInvalid, CodeNotFound for an account or
// owner that does not exist.
func (s *Service) CreateCredential(ctx context.Context, n NewCredential) (postern.Credential, postern.Secret, error) {
	acl, err := parseACL(n.ACL)
	if err != nil {
		return postern.Credential{}, "", err
	}
	if err := checkTexts(n.Description, n.Metadata); err != nil {
		return postern.Credential{}, "", err
	}
	var credential postern.Credential
	var token postern.Secret
	var account postern.Account
	err = s.change(ctx, func(d *draft) error {
		if _, err := d.Users().Get(d.ctx, n.Account, string(n.Owner)); err != nil {
			return err
		}
		var err error
		if account, err = d.Accounts().Get(d.ctx, n.Account); err != nil {
			return err
		}
		credential = postern.Credential{
			Account: n.Account, Owner: n.Owner, Description: n.Description, Metadata: n.Metadata, ACL: acl,
		}
		token, err = d.createCredential(&credential)
		return err
	})
	if err != nil {
		return postern.Credential{}, "", err
	}
	s.known.learn(holder{credential: credential, account: account}, s.known.now())
	return credential, token, nil
}

// createCredential gives c its id, time and token, and stores it.
func (d *draft) createCredential(c *postern.Credential) (postern.Secret, error) {
	c.ID, c.CreatedAt = postern.CredentialID(newID(credentialPrefix, d.now)), d.now
	token, verifier := newToken(string(c.ID))
	c.Verifier = verifier
	if err := d.Credentials().Create(d.ctx, *c); err != nil {
		return "", err
	}
	return token, d.record(event.CredentialCreated, c.Account, string(c.ID), showCredential(*c))
}

// CredentialUpdate is what changes of a credential; what is nil stays.
type CredentialUpdate struct {
	Description *string
	Metadata    *string
	ACL         *[]string // an empty one takes every limit away
}

// UpdateCredential changes a valid credential and returns it as it is now. Binds obey
// its new ACL from the moment this returns; live sessions learn of it by
// event.CredentialUpdated on the bus, whose Subject is the id. Errors: CodeNotFound,
// CodeACLInvalid, CodeFieldInvalid.
func (s *Service) UpdateCredential(ctx context.Context, id postern.CredentialID, u CredentialUpdate) (postern.Credential, error) {
	var acl postern.ACL
	if u.ACL != nil {
		var err error
		if acl, err = parseACL(*u.ACL); err != nil {
			return postern.Credential{}, err
		}
	}
	var updated postern.Credential
	err := s.change(ctx, func(d *draft) error {
		stored, err := d.Credentials().Get(d.ctx, id)
		if err != nil {
			return err
		}
		if stored.Revoked() {
			return wasRevoked(id)
		}
		updated = stored.Credential
		replace(&updated.Description, u.Description)
		replace(&updated.Metadata, u.Metadata)
		if u.ACL != nil {
			updated.ACL = acl
		}
		if err := checkTexts(updated.Description, updated.Metadata); err != nil {
			return err
		}
		if err := d.Credentials().Update(d.ctx, updated); err != nil {
			return err
		}
		account, err := d.Accounts().Get(d.ctx, updated.Account)
		if err != nil {
			return err
		}
		changed := holder{credential: updated, account: account}
		d.committed = append(d.committed, func() { s.known.change(changed) })
		return d.record(event.CredentialUpdated, updated.Account, string(id), showCredential(updated))
	})
	if err != nil {
		return postern.Credential{}, err
	}
	return updated, nil
}

func replace[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
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

// RevokeCredential ends a credential for good. Nobody is admitted with it from the
// moment this returns; live sessions learn of it by event.CredentialRevoked on the bus,
// whose Subject is the id. A credential that does not exist or was revoked before is
// CodeNotFound.
func (s *Service) RevokeCredential(ctx context.Context, id postern.CredentialID) error {
	return s.change(ctx, func(d *draft) error {
		credential, err := d.Credentials().Get(d.ctx, id)
		if err != nil {
			return err
		}
		if err := d.Credentials().Revoke(d.ctx, id, d.now); err != nil {
			return err
		}
		d.committed = append(d.committed, func() { s.known.revoke(id) })
		return d.record(event.CredentialRevoked, credential.Account, string(id), showCredential(credential.Credential))
	})
}

// Credential returns a valid credential; one that does not exist or was revoked is
// CodeNotFound.
func (s *Service) Credential(ctx context.Context, id postern.CredentialID) (postern.Credential, error) {
	var credential store.Credential
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		credential, err = tx.Credentials().Get(ctx, id)
		return err
	})
	if err == nil && credential.Revoked() {
		err = wasRevoked(id)
	}
	if err != nil {
		return postern.Credential{}, err
	}
	return credential.Credential, nil
}

// CredentialInForce returns what live sessions of a credential may do now: as the store
// has it, or, while that does not answer, as this process remembers it. The store may
// then know better, and whoever must not miss that asks again. A revoked
// credential is CodeNotFound; one that is neither stored nor remembered, while the store does
// not answer, CodeStoreUnavailable.
func (s *Service) CredentialInForce(ctx context.Context, id postern.CredentialID) (c postern.Credential, remembered bool, err error) {
	found, remembered, err := s.find(ctx, id)
	switch {
	case err != nil:
		return postern.Credential{}, remembered, err
	case found.credential.ID == "" || found.revoked:
		return postern.Credential{}, remembered, wasRevoked(id)
	}
	return found.credential, remembered, nil
}

func wasRevoked(id postern.CredentialID) error {
	return postern.Errorf(postern.CodeNotFound, "credential %q was revoked", id)
}

// KnownCredential returns a valid credential from this process's memory, without waiting
// for the store: every change that this process made is in it.
func (s *Service) KnownCredential(id postern.CredentialID) (postern.Credential, bool) {
	h, ok := s.known.holder(id)
	if !ok || h.revoked {
		return postern.Credential{}, false
	}
	return h.credential, true
}

// Credentials returns up to limit valid credentials of every account whose id is greater
// than after, by id.
func (s *Service) Credentials(ctx context.Context, after postern.CredentialID, limit int) (credentials []postern.Credential, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		credentials, err = tx.Credentials().List(ctx, after, limit)
		return err
	})
	return credentials, err
}

// Account returns an account, or CodeNotFound.
func (s *Service) Account(ctx context.Context, id postern.AccountID) (postern.Account, error) {
	var account postern.Account
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		account, err = tx.Accounts().Get(ctx, id)
		return err
	})
	return account, err
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
