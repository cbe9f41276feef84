package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// Authority is a certificate authority that an account has uploaded.
type Authority struct {
	Account     postern.AccountID
	ID          string
	Certificate string // PEM
	Revocations string // its revocation lists in PEM, "" for none
}

// Authorities returns those of all accounts.
func (s *Service) Authorities(ctx context.Context) ([]Authority, error) {
	var all []Authority
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		all = nil
		return eachRow(ctx, tx.CertificateAuthorities(), nil, func(row *store.CertificateAuthority) error {
			all = append(all, Authority{Account: row.Account, ID: row.ID, Certificate: row.Certificate, Revocations: row.Revocations})
			return nil
		})
	})
	return all, err
}

// HasAuthority is CodeNotFound where the account has no such authority.
func (s *Service) HasAuthority(ctx context.Context, account postern.AccountID, id string) error {
	return s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := tx.CertificateAuthorities().Get(ctx, account, id)
		return err
	})
}
