package service

import (
	"context"
	"net/netip"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/password"
	"github.com/postern-dev/postern/server/store"
)

// Login returns the caller that an address and its password stand for, who came from
// addr. Whether there is such a person cannot be told from the answer, nor from the time
// it takes. Errors: CodeLoginInvalid; CodeTooManyFailures for whoever guesses too often,
// at a person or from a network; CodeServerBusy; CodeStoreUnavailable.
func (s *Service) Login(ctx context.Context, email string, given postern.Secret, addr netip.Addr) (Caller, error) {
	email, err := parseEmail(email)
	if err != nil || email == "" || len(given) > password.Longest {
		return Caller{}, loginInvalid()
	}
	attempt, err := s.guesses.take(s.now(), email, addr)
	if err != nil {
		return Caller{}, err
	}
	user, err := s.byEmail(ctx, email)
	if err != nil {
		attempt.right(s.now()) // nothing was found out
		return Caller{}, err
	}
	right, outdated, err := s.passwords.Verify(ctx, given, user.Password)
	if err != nil {
		attempt.right(s.now())
		return Caller{}, err
	}
	if !right || !user.Serves() {
		return Caller{}, loginInvalid()
	}
	attempt.right(s.now())
	if outdated {
		s.hashAnew(ctx, user, given)
	}
	return Caller{Account: user.Account, Principal: postern.UserID(user.ID), Role: user.Role, Source: SourceDashboard, Addr: addr}, nil
}

func loginInvalid() error { return &postern.Error{Code: postern.CodeLoginInvalid} }

// byEmail finds a person, of whichever account; the zero value is nobody.
func (s *Service) byEmail(ctx context.Context, email string) (store.User, error) {
	var found []store.User
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		found, err = tx.Users().List(ctx, store.Page{Limit: 1, Where: store.All(isPerson(), store.Equal("email", email))})
		return err
	})
	if err != nil || len(found) == 0 {
		return store.User{}, err
	}
	return found[0], nil
}

// hashAnew keeps a password at today's cost. That it does not work is no reason to turn
// somebody away who knows the password.
func (s *Service) hashAnew(ctx context.Context, user store.User, given postern.Secret) {
	hash, err := s.passwords.Hash(ctx, given)
	if err == nil {
		err = s.change(ctx, func(d *draft) error {
			now, err := d.Users().Get(d.ctx, user.Account, user.ID)
			if err != nil || now.Password != user.Password {
				return err // it was changed meanwhile
			}
			now.Password = hash
			return d.Users().Update(d.ctx, now)
		})
	}
	if err != nil {
		s.logger.WarnContext(ctx, "a password could not be hashed anew", "user", user.ID, "error", err)
	}
}

// SetPassword gives a person of the caller's account another password. Whoever changes
// their own must know the present one, if there is one; whoever administers the account
// sets those of people whose role they may give. Errors: CodeNotFound, CodeFieldInvalid,
// CodeNotPermitted, and those of Login where present is wrong.
func (s *Service) SetPassword(ctx context.Context, by Caller, id postern.UserID, present, chosen postern.Secret) error {
	if err := password.Check(chosen); err != nil {
		return err
	}
	user, err := s.Person(ctx, by, id)
	if err != nil {
		return err
	}
	if by.Principal == id && by.Source != SourceServer {
		if err := s.checkPresent(ctx, by, user, present); err != nil {
			return err
		}
	} else if err := by.mayGive(user.Role); err != nil {
		return err
	}
	hash, err := s.passwords.Hash(ctx, chosen)
	if err != nil {
		return err
	}
	return s.change(ctx, func(d *draft) error {
		now, err := person(d.ctx, d.Tx, by.Account, id)
		if err != nil {
			return err
		}
		if now.Password != user.Password {
			return postern.Errorf(postern.CodeConflict, "the password of %s was changed at the same time", id)
		}
		now.Password, now.PasswordAt, now.UpdatedAt = hash, d.now, d.now
		if err := d.Users().Update(d.ctx, now); err != nil {
			return err
		}
		return d.recordBy(by, event.UserUpdated, now.Account, now.ID, showPerson(now))
	})
}

// checkPresent makes sure that whoever changes a password knows it.
func (s *Service) checkPresent(ctx context.Context, by Caller, user store.User, present postern.Secret) error {
	if user.Password == "" {
		return nil
	}
	attempt, err := s.guesses.take(s.now(), user.ID, by.Addr)
	if err != nil {
		return err
	}
	right, _, err := s.passwords.Verify(ctx, present, user.Password)
	switch {
	case err != nil:
		return err
	case !right:
		return loginInvalid()
	}
	attempt.right(s.now())
	return nil
}
