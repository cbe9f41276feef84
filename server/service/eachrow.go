package service

import (
	"context"

	"github.com/postern-dev/postern/server/store"
)

// eachRow calls fn for every row that is meant, of all accounts, the newest first. fn may
// delete the row.
func eachRow[R any, P store.Headed[R]](ctx context.Context, rows store.Rows[R], where store.Filter, fn func(P) error) error {
	for before := ""; ; {
		list, err := rows.List(ctx, store.Page{Before: before, Limit: page, Where: where})
		if err != nil {
			return err
		}
		for i := range list {
			row := P(&list[i])
			before = row.Head().ID
			if err := fn(row); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
	}
}
