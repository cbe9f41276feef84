package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore/internal/query"
)

type limits struct{ q *query.Queries }

func (l limits) Put(ctx context.Context, row store.LimitsRow) error {
	if row.Overrides.Empty() {
		return translate(l.q.DeleteLimits(ctx, row.Subject))
	}
	o := row.Overrides
	return translate(l.q.PutLimits(ctx, query.PutLimitsParams{
		SubjectID: row.Subject, AccountID: row.Account,
		Sessions: optional(o.Sessions), Endpoints: optional(o.Endpoints), Connections: optional(o.Connections),
		RequestsPerMinute: optional(o.RequestsPerMinute), BytesPerSecond: optional(o.BytesPerSecond),
	}))
}

func (l limits) Get(ctx context.Context, subject string) (postern.LimitOverrides, error) {
	row, err := l.q.GetLimits(ctx, subject)
	if errors.Is(err, sql.ErrNoRows) {
		return postern.LimitOverrides{}, nil
	}
	return limitsOf(row).Overrides, translate(err)
}

func (l limits) List(ctx context.Context, after string, limit int) ([]store.LimitsRow, error) {
	rows, err := l.q.ListLimits(ctx, query.ListLimitsParams{After: after, Most: most(limit)})
	return each(rows, limitsOf), translate(err)
}

func limitsOf(row query.Limit) store.LimitsRow {
	return store.LimitsRow{Subject: row.SubjectID, Account: row.AccountID, Overrides: postern.LimitOverrides{
		Sessions: pointer(row.Sessions), Endpoints: pointer(row.Endpoints), Connections: pointer(row.Connections),
		RequestsPerMinute: pointer(row.RequestsPerMinute), BytesPerSecond: pointer(row.BytesPerSecond),
	}}
}

func optional(n *int64) sql.NullInt64 {
	if n == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: *n, Valid: true}
}

func pointer(n sql.NullInt64) *int64 {
	if !n.Valid {
		return nil
	}
	return &n.Int64
}
