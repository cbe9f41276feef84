package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/store"
)

// Self tells a caller who they are.
func (s *Service) Self(ctx context.Context, by Caller) (self resource.Self, err error) {
	if err := by.may(postern.Read); err != nil {
		return self, err
	}
	err = s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		account, err := tx.Accounts().Get(ctx, by.Account)
		if err != nil {
			return err
		}
		user, err := tx.Users().Get(ctx, by.Account, string(by.Principal))
		if err != nil {
			return err
		}
		self = resource.Self{
			Account: resource.SelfAccount{ID: string(account.ID), Name: account.Name, CreatedAt: resource.Moment(account.CreatedAt)},
			User: resource.SelfUser{
				ID: user.ID, Name: user.Name, Email: user.Email, Role: string(user.Role), CreatedAt: resource.Moment(user.CreatedAt),
			},
		}
		if by.Key == "" {
			return nil
		}
		key, err := tx.APIKeys().Get(ctx, by.Account, string(by.Key))
		shown := s.showAPIKey(&key)
		self.APIKey = &shown
		return err
	})
	return self, err
}
