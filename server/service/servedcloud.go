package service

import (
	"context"

	"github.com/postern-dev/postern/server/store"
)

// CloudEndpoints returns the public and internal cloud endpoints of all accounts.
func (s *Service) CloudEndpoints(ctx context.Context) ([]store.CloudEndpoint, error) {
	var all []store.CloudEndpoint
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		all = nil
		return eachRow(ctx, tx.CloudEndpoints(), store.OneOf("binding", bindingPublic, bindingInternal), func(row *store.CloudEndpoint) error {
			all = append(all, *row)
			return nil
		})
	})
	return all, err
}
