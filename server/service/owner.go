package service

import (
	"cmp"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// ownerChoice says who is to own what is made, in at most one way; none stands for the
// caller.
type ownerChoice struct{ id, email, scim *string }

// ownerFor finds who is to own something that by makes. Errors: CodeOwnerAmbiguous,
// CodeOwnerUnknown, CodeOwnerInactive, CodeOwnerNotPermitted for somebody else's without
// the right to administer.
func (d *draft) ownerFor(by Caller, o ownerChoice) (store.User, error) {
	wanted := ""
	for _, way := range []*string{o.id, o.email, o.scim} {
		if way == nil || *way == "" {
			continue
		}
		if wanted != "" {
			return store.User{}, &postern.Error{Code: postern.CodeOwnerAmbiguous}
		}
		wanted = *way
	}
	if o.scim != nil && *o.scim != "" {
		return store.User{}, postern.Errorf(postern.CodeOwnerUnknown, "users have no SCIM ids here; give owner_id")
	}
	owner, err := d.user(by, cmp.Or(wanted, string(by.Principal)))
	switch {
	case err != nil:
		return store.User{}, err
	case owner.ID != string(by.Principal) && !by.Role.MayAdminister():
		return store.User{}, postern.Errorf(postern.CodeOwnerNotPermitted, "the role %q does not allow to make this for %s", by.Role, owner.ID)
	case !owner.Active:
		return store.User{}, postern.Errorf(postern.CodeOwnerInactive, "%s %q is not active", owner.ID, owner.Name)
	}
	return owner, nil
}

// user finds a user of the caller's account by id, in any of its forms, or email.
func (d *draft) user(by Caller, id string) (store.User, error) {
	if strings.Contains(id, "@") {
		return d.userOfEmail(by, id)
	}
	if canonical, is := resource.ServiceUsers().ID(id); is {
		id = canonical
	}
	owner, err := d.Users().Get(d.ctx, by.Account, id)
	if postern.HasCode(err, postern.CodeNotFound) || err == nil && !owner.RemovedAt.IsZero() {
		err = postern.Errorf(postern.CodeOwnerUnknown, "the account has no user %.120q", id)
	}
	return owner, err
}

func (d *draft) userOfEmail(by Caller, email string) (store.User, error) {
	found, err := d.Users().List(d.ctx, store.Page{Account: by.Account, Limit: 1, Where: store.And{
		store.Equal("email", strings.ToLower(email)), store.Equal("removed_at", nil),
	}})
	switch {
	case err != nil:
		return store.User{}, err
	case len(found) == 0:
		return store.User{}, postern.Errorf(postern.CodeOwnerUnknown, "the account has no user with the email %.120q", email)
	}
	return found[0], nil
}

// mayChangeOf refuses who may not change what belongs to owner.
func (c Caller) mayChangeOf(owner postern.UserID) error {
	if c.Principal == owner || c.Role.MayAdminister() {
		return nil
	}
	return postern.Errorf(postern.CodeOwnerNotPermitted, "the role %q does not allow to change what belongs to %s", c.Role, owner)
}

// endAllOf deletes the API keys and SSH credentials of a user and revokes the credentials.
func (s *Service) endAllOf(d *draft, by Caller, u *store.User) error {
	of := store.Equal("owner_id", u.ID)
	err := eachRow(d.ctx, d.APIKeys(), of, func(key *store.APIKey) error {
		if err := d.recordBy(by, event.APIKeyDeleted, key.Account, key.ID, s.showAPIKey(key)); err != nil {
			return err
		}
		return d.APIKeys().Delete(d.ctx, key.Account, key.ID)
	})
	if err != nil {
		return err
	}
	err = eachRow(d.ctx, d.SSHCredentials(), of, func(key *store.SSHCredential) error {
		if err := d.recordBy(by, event.SSHCredentialDeleted, key.Account, key.ID, s.showSSHCredential(key)); err != nil {
			return err
		}
		return d.SSHCredentials().Delete(d.ctx, key.Account, key.ID)
	})
	if err != nil {
		return err
	}
	valid := store.And{of, store.Equal("revoked_at", nil)}
	return eachRow(d.ctx, d.Credentials(), valid, func(credential *store.Credential) error {
		if err := d.recordBy(by, event.CredentialRevoked, credential.Account, credential.ID, s.showCredential(credential)); err != nil {
			return err
		}
		return s.revoke(d, credential)
	})
}

// sameOwner refuses to give something another owner.
func sameOwner(code postern.Code, owner postern.UserID, wanted *string) error {
	if wanted == nil {
		return nil
	}
	id := *wanted
	if canonical, is := resource.ServiceUsers().ID(id); is {
		id = canonical
	}
	if id == string(owner) {
		return nil
	}
	return postern.Errorf(code, "the owner is %s and stays", owner)
}
