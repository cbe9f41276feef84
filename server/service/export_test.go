package service

import (
	"context"

	"github.com/postern-dev/postern/server/store"
)

// What the fuzz targets of tokens need.
var (
	NewToken   = newToken
	ParseToken = parseToken
)

// ParseDomain is parseDomain.
var ParseDomain = parseDomain

// MaxWaiting is the bound of the backlog.
const MaxWaiting = maxWaiting

// ResealPage is how many rows a rotation's transaction has.
const ResealPage = resealPage

// SealedRow is a row with sealed fields, as tests keep them.
type SealedRow struct {
	ID     string
	Fields map[string][]byte
}

// KeepSealed adds a table with sealed fields.
func (s *Service) KeepSealed(
	kind string,
	page func(ctx context.Context, tx store.Tx, after string, limit int) ([]SealedRow, error),
	put func(ctx context.Context, tx store.Tx, row SealedRow) error,
) {
	s.sealed = append(s.sealed, sealedTable{
		kind: kind,
		page: func(ctx context.Context, tx store.Tx, after string, limit int) (rows []sealedRow, err error) {
			found, err := page(ctx, tx, after, limit)
			for _, row := range found {
				rows = append(rows, sealedRow{row.ID, row.Fields})
			}
			return rows, err
		},
		put: func(ctx context.Context, tx store.Tx, row sealedRow) error {
			return put(ctx, tx, SealedRow{row.id, row.fields})
		},
	})
}

// Seal seals and stores a field in one transaction.
func (s *Service) Seal(ctx context.Context, kind, id, field, secret string, put func(store.Tx, []byte) error) error {
	return s.change(ctx, func(d *draft) error {
		sealed, err := s.seal(d, kind, id, field, []byte(secret))
		if err != nil {
			return err
		}
		return put(d.Tx, sealed)
	})
}

// Unseal is unseal.
func (s *Service) Unseal(kind, id, field string, sealed []byte) (string, error) {
	secret, err := s.unseal(kind, id, field, sealed)
	return string(secret), err
}
