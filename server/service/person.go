package service

import (
	"context"
	"net/mail"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/password"
	"github.com/postern-dev/postern/server/store"
)

const (
	maxPersonName = 255
	maxEmail      = 254 // RFC 5321 §4.5.3.1.3
)

// NewPerson is what a person is made from.
type NewPerson struct {
	Name     string
	Email    string         // may be empty, of somebody who does not sign in
	Role     postern.Role   // empty: developer
	Password postern.Secret // empty for none
}

// PersonUpdate is what changes of a person; what is nil stays.
type PersonUpdate struct {
	Name   *string
	Email  *string
	Role   *postern.Role
	Active *bool // people who are not cannot sign in, and their keys and credentials admit nobody
}

// isPerson selects the people who were not removed.
func isPerson() store.Filter {
	return store.All(store.Equal("kind", string(store.Person)), store.Equal("removed_at", nil))
}

// People returns the people of the caller's account, the newest first.
func (s *Service) People(ctx context.Context, by Caller, p Page) (List[store.User], error) {
	var list List[store.User]
	if err := by.may(postern.Read); err != nil {
		return list, err
	}
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		rows, err := tx.Users().List(ctx, store.Page{
			Account: by.Account, Before: p.Before, Limit: p.Limit + 1, Where: store.All(isPerson(), p.Where)})
		list = List[store.User]{Items: rows[:min(len(rows), p.Limit)], More: len(rows) > p.Limit}
		return err
	})
	return list, err
}

// Person returns one person of the caller's account; CodeNotFound.
func (s *Service) Person(ctx context.Context, by Caller, id postern.UserID) (store.User, error) {
	var user store.User
	if err := by.may(postern.Read); err != nil {
		return user, err
	}
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		user, err = person(ctx, tx, by.Account, id)
		return err
	})
	return user, err
}

// CreatePerson makes a person of the caller's account, without an invitation. Errors:
// CodeFieldInvalid, CodeEmailTaken, CodeNotPermitted for a role that the caller may not
// give.
func (s *Service) CreatePerson(ctx context.Context, by Caller, n NewPerson) (store.User, error) {
	if n.Role == "" {
		n.Role = postern.Developer
	}
	if err := by.mayGive(n.Role); err != nil {
		return store.User{}, err
	}
	hash, err := s.hashOf(ctx, n.Password)
	if err != nil {
		return store.User{}, err
	}
	var user store.User
	err = s.change(ctx, func(d *draft) (err error) {
		user, err = d.createPerson(by, by.Account, n, hash)
		return err
	})
	return user, err
}

// createPerson stores a person whose password has that hash.
func (d *draft) createPerson(by Caller, account postern.AccountID, n NewPerson, hash postern.Secret) (store.User, error) {
	user := store.User{
		Meta: store.Meta{ID: newID("usr", d.now), Account: account, CreatedAt: d.now, UpdatedAt: d.now},
		Name: strings.TrimSpace(n.Name), Kind: store.Person, Role: n.Role, Active: true,
	}
	var err error
	if user.Email, err = parseEmail(n.Email); err != nil {
		return user, err
	}
	if hash != "" {
		user.Password, user.PasswordAt = hash, d.now
	}
	if err := d.checkPerson(user); err != nil {
		return user, err
	}
	if err := d.Users().Create(d.ctx, user); err != nil {
		return user, err
	}
	return user, d.recordBy(by, event.UserCreated, account, user.ID, showPerson(user))
}

// UpdatePerson changes a person of the caller's account. Whoever administers it may
// change those whose role they may give, and everybody their own name and address.
// Errors: CodeNotFound, CodeFieldInvalid, CodeEmailTaken, CodeNotPermitted, and
// CodeLastOwner for the last active owner's role or activity.
func (s *Service) UpdatePerson(ctx context.Context, by Caller, id postern.UserID, u PersonUpdate) (store.User, error) {
	var user store.User
	err := s.change(ctx, func(d *draft) error {
		was, err := person(d.ctx, d.Tx, by.Account, id)
		if err != nil {
			return err
		}
		user = was
		set(&user.Name, u.Name)
		set(&user.Role, u.Role)
		set(&user.Active, u.Active)
		if u.Email != nil {
			if user.Email, err = parseEmail(*u.Email); err != nil {
				return err
			}
		}
		user.UpdatedAt = d.now
		if err := by.mayChangePerson(was, user); err != nil {
			return err
		}
		if err := d.checkPerson(user); err != nil {
			return err
		}
		if err := d.keepOwner(was, user); err != nil {
			return err
		}
		if err := d.Users().Update(d.ctx, user); err != nil {
			return err
		}
		s.knowUser(d, user)
		return d.recordBy(by, event.UserUpdated, user.Account, user.ID, showPerson(user))
	})
	return user, err
}

// RemovePerson takes a person out of the caller's account, for good: with their passkeys,
// API keys and credentials. Errors are those of UpdatePerson.
func (s *Service) RemovePerson(ctx context.Context, by Caller, id postern.UserID) error {
	return s.change(ctx, func(d *draft) error {
		was, err := person(d.ctx, d.Tx, by.Account, id)
		if err != nil {
			return err
		}
		user := was
		user.Active, user.RemovedAt, user.UpdatedAt, user.Password = false, d.now, d.now, ""
		if err := by.mayGive(was.Role); err != nil {
			return err
		}
		if err := d.keepOwner(was, user); err != nil {
			return err
		}
		if err := s.endAllOf(d, by, &user); err != nil {
			return err
		}
		if err := d.forgetPasskeys(user); err != nil {
			return err
		}
		if err := d.Users().Update(d.ctx, user); err != nil {
			return err
		}
		s.knowUser(d, user)
		return d.recordBy(by, event.UserDeleted, user.Account, user.ID, showPerson(user))
	})
}

// mayGive refuses a role that the caller may not give to somebody, or take away.
func (c Caller) mayGive(role postern.Role) error {
	if err := c.may(postern.Administer); err != nil {
		return err
	}
	if !c.Role.MayGrant(role) {
		return postern.Errorf(postern.CodeNotPermitted, "the role %q does not allow to decide about the role %q", c.Role, role)
	}
	return nil
}

// mayChangePerson refuses to change somebody from was to now.
func (c Caller) mayChangePerson(was, now store.User) error {
	self := c.Account != "" && c.Principal == postern.UserID(was.ID) && c.Role.MayRead()
	if self && was.Role == now.Role && was.Active == now.Active {
		return nil
	}
	if err := c.mayGive(was.Role); err != nil {
		return err
	}
	return c.mayGive(now.Role)
}

// keepOwner refuses to take an account's last active owner away.
func (d *draft) keepOwner(was, now store.User) error {
	owns := func(u store.User) bool { return u.Role == postern.Owner && u.Serves() }
	if !owns(was) || owns(now) {
		return nil
	}
	others, err := d.Users().List(d.ctx, store.Page{Account: was.Account, Limit: 1, Where: store.All(isPerson(),
		store.Equal("role", string(postern.Owner)), store.Equal("active", true), store.Compare{Field: "id", Op: store.Differs, Value: was.ID})})
	if err == nil && len(others) == 0 {
		err = postern.Errorf(postern.CodeLastOwner, "%s is the account's last owner", was.ID)
	}
	return err
}

// checkPerson refuses what a person cannot be.
func (d *draft) checkPerson(u store.User) error {
	if err := checkText("name", u.Name, maxPersonName); err != nil {
		return err
	}
	if u.Name == "" {
		return postern.Errorf(postern.CodeFieldInvalid, "name is empty")
	}
	if _, err := postern.ParseRole(string(u.Role)); err != nil {
		return err
	}
	if u.Email == "" {
		return nil
	}
	same, err := d.Users().List(d.ctx, store.Page{Limit: 1, Where: store.All(isPerson(),
		store.Equal("email", u.Email), store.Compare{Field: "id", Op: store.Differs, Value: u.ID})})
	if err == nil && len(same) > 0 {
		err = postern.Errorf(postern.CodeEmailTaken, "%s is somebody's on this server", u.Email)
	}
	return err
}

// person finds one who was not removed.
func person(ctx context.Context, tx store.Tx, account postern.AccountID, id postern.UserID) (store.User, error) {
	if account == "" {
		return store.User{}, postern.Errorf(postern.CodeNotPermitted, "the caller has no account")
	}
	user, err := tx.Users().Get(ctx, account, string(id))
	if err == nil && (user.Kind != store.Person || !user.RemovedAt.IsZero()) {
		err = postern.Errorf(postern.CodeNotFound, "there is no person %q", id)
	}
	return user, err
}

// parseEmail gives an address in lower case, "" for "".
func parseEmail(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", nil
	}
	parsed, err := mail.ParseAddress(text)
	if err != nil || parsed.Address != text || len(text) > maxEmail {
		return "", postern.Errorf(postern.CodeFieldInvalid, "email %q is not an address such as name@example.com", clip(text))
	}
	text = strings.ToLower(text)
	return text, checkText("email", text, maxEmail)
}

// hashOf is the hash of a password, "" for none.
func (s *Service) hashOf(ctx context.Context, chosen postern.Secret) (postern.Secret, error) {
	if chosen == "" {
		return "", nil
	}
	if err := password.Check(chosen); err != nil {
		return "", err
	}
	return s.passwords.Hash(ctx, chosen)
}
