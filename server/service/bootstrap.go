package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// Bootstrap is the first account of an installation and the keys to it.
type Bootstrap struct {
	AccountID postern.AccountID
	UserID    postern.UserID
	APIKey    postern.Secret // empty unless Created
	Authtoken postern.Secret // empty unless Created
	Created   bool
}

const (
	settingFirstAccount = "bootstrap.account"
	settingFirstUser    = "bootstrap.user"
)

// Bootstrap makes the first account with one user, one API key and one credential. The
// first call returns their secrets, which are not kept; every later one says who exists
// and returns no secret. Of calls at the same time exactly one creates.
func (s *Service) Bootstrap(ctx context.Context) (Bootstrap, error) {
	var result Bootstrap
	err := s.change(ctx, func(d *draft) error {
		result = Bootstrap{}
		account, err := d.Settings().Get(d.ctx, settingFirstAccount)
		if err == nil {
			user, err := d.Settings().Get(d.ctx, settingFirstUser)
			result.AccountID, result.UserID = postern.AccountID(account), postern.UserID(user)
			return err
		}
		if !postern.HasCode(err, postern.CodeNotFound) {
			return err
		}
		result, err = s.createFirst(d)
		return err
	})
	if err != nil {
		return Bootstrap{}, err
	}
	return result, nil
}

// Owner returns a user; an empty id stands for bootstrap's. CodeNotFound where there is
// none.
func (s *Service) Owner(ctx context.Context, id postern.UserID) (user store.User, err error) {
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		if id == "" {
			first, err := tx.Settings().Get(ctx, settingFirstUser)
			if postern.HasCode(err, postern.CodeNotFound) {
				return postern.Errorf(postern.CodeNotFound, "this installation has no user yet; run \"postern server bootstrap\" first")
			}
			if err != nil {
				return err
			}
			id = postern.UserID(first)
		}
		user, err = tx.Users().Get(ctx, "", string(id))
		return err
	})
	return user, err
}

func (s *Service) createFirst(d *draft) (Bootstrap, error) {
	account := postern.Account{ID: postern.AccountID(newID("ac", d.now)), Name: "default", CreatedAt: d.now}
	user := store.User{
		Meta: store.Meta{ID: newID("usr", d.now), Account: account.ID, CreatedAt: d.now, UpdatedAt: d.now},
		Name: "admin", Kind: store.Person, Role: postern.Owner, Active: true,
	}
	owner := postern.UserID(user.ID)
	if err := d.createOwner(account, user); err != nil {
		return Bootstrap{}, err
	}
	apiKey, err := s.createAPIKey(d, Caller{}, &store.APIKey{Meta: store.Meta{Account: account.ID, Description: "made by bootstrap"}, Owner: owner})
	if err != nil {
		return Bootstrap{}, err
	}
	credential := postern.Credential{Account: account.ID, Owner: owner, Description: "made by bootstrap"}
	token, err := s.createCredential(d, account, &credential)
	if err != nil {
		return Bootstrap{}, err
	}
	if err := d.Settings().Put(d.ctx, settingFirstAccount, string(account.ID)); err != nil {
		return Bootstrap{}, err
	}
	if err := d.Settings().Put(d.ctx, settingFirstUser, string(user.ID)); err != nil {
		return Bootstrap{}, err
	}
	return Bootstrap{AccountID: account.ID, UserID: owner, APIKey: apiKey, Authtoken: token, Created: true}, nil
}

func (d *draft) createOwner(account postern.Account, user store.User) error {
	if err := d.Accounts().Create(d.ctx, account); err != nil {
		return err
	}
	if err := d.record(event.AccountCreated, account.ID, string(account.ID),
		accountObject{ID: account.ID, Name: account.Name, CreatedAt: stamp(account.CreatedAt)}); err != nil {
		return err
	}
	if err := d.Users().Create(d.ctx, user); err != nil {
		return err
	}
	return d.record(event.UserCreated, account.ID, user.ID,
		showPerson(user))
}

// createAPIKey gives k its id, times and key, and stores it.
func (s *Service) createAPIKey(d *draft, by Caller, k *store.APIKey) (postern.Secret, error) {
	k.ID, k.CreatedAt, k.UpdatedAt = newID(apiKeyPrefix, d.now), d.now, d.now
	key, verifier := newToken(k.ID)
	k.Verifier = verifier
	if err := d.APIKeys().Create(d.ctx, *k); err != nil {
		return "", err
	}
	return key, d.recordBy(by, event.APIKeyCreated, k.Account, k.ID, s.showAPIKey(k))
}
