package service

import (
	"context"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

const maxAccountName = 255

// CreateAccount makes another account on this server with its first owner. Only the
// server's operator may. Errors: CodeFieldInvalid, CodeEmailTaken, CodeNotPermitted.
func (s *Service) CreateAccount(ctx context.Context, by Caller, name string, owner NewPerson) (postern.Account, store.User, error) {
	var account postern.Account
	var user store.User
	if err := by.mayOperate(); err != nil {
		return account, user, err
	}
	if name = strings.TrimSpace(name); name == "" {
		return account, user, postern.Errorf(postern.CodeFieldInvalid, "the account's name is empty")
	}
	if err := checkText("name", name, maxAccountName); err != nil {
		return account, user, err
	}
	hash, err := s.hashOf(ctx, owner.Password)
	if err != nil {
		return account, user, err
	}
	owner.Role = postern.Owner
	err = s.change(ctx, func(d *draft) error {
		account = postern.Account{ID: postern.AccountID(newID("ac", d.now)), Name: name, CreatedAt: d.now}
		if err := d.Accounts().Create(d.ctx, account); err != nil {
			return err
		}
		err := d.recordBy(by, event.AccountCreated, account.ID, string(account.ID),
			accountObject{ID: account.ID, Name: account.Name, CreatedAt: stamp(account.CreatedAt)})
		if err != nil {
			return err
		}
		user, err = d.createPerson(by, account.ID, owner, hash)
		return err
	})
	return account, user, err
}

// Accounts returns up to limit accounts whose ids sort after after. Only the server's
// operator may ask.
func (s *Service) Accounts(ctx context.Context, by Caller, after postern.AccountID, limit int) ([]postern.Account, error) {
	if err := by.mayOperate(); err != nil {
		return nil, err
	}
	var accounts []postern.Account
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		accounts, err = tx.Accounts().List(ctx, after, limit)
		return err
	})
	return accounts, err
}

// mayOperate refuses everybody but the server's operator.
func (c Caller) mayOperate() error {
	if c.Source != SourceServer {
		return postern.Errorf(postern.CodeNotPermitted, "only the server's operator may do this, on its machine")
	}
	return nil
}
