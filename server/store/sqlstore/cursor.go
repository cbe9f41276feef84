package sqlstore

import (
	"context"

	"github.com/postern-dev/postern/server/store/sqlstore/internal/query"
)

type cursors struct{ q *query.Queries }

func (c cursors) Get(ctx context.Context, subscriber string) (int64, error) {
	seq, err := c.q.GetCursor(ctx, subscriber)
	if err != nil {
		return 0, found(err, "cursor", subscriber)
	}
	return seq, nil
}

func (c cursors) Advance(ctx context.Context, subscriber string, seq int64) error {
	return translate(c.q.AdvanceCursor(ctx, query.AdvanceCursorParams{Subscriber: subscriber, Seq: seq}))
}

func (c cursors) Delete(ctx context.Context, subscriber string) error {
	return translate(c.q.DeleteCursor(ctx, subscriber))
}
