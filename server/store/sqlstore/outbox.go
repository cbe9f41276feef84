package sqlstore

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store/sqlstore/internal/query"
)

type outbox struct{ q *query.Queries }

func (o outbox) Append(ctx context.Context, e postern.Event, subject string) (int64, error) {
	seq, err := o.q.NextSeq(ctx)
	if err != nil {
		return 0, translate(err)
	}
	object := e.Object
	if object == nil {
		object = []byte{} // the column takes no NULL
	}
	actor, err := document[postern.Actor]{&e.Actor}.Value()
	if err != nil {
		return 0, translate(err)
	}
	return seq, translate(o.q.AppendRecord(ctx, query.AppendRecordParams{
		Seq: seq, ID: e.ID, Type: e.Type, AccountID: e.Account,
		Subject: subject, At: e.At.UnixMicro(), Object: object, Actor: actor.(string), //nolint:forcetypeassert // its kind
	}))
}

func (o outbox) After(ctx context.Context, seq int64, limit int) ([]event.Record, error) {
	rows, err := o.q.RecordsAfter(ctx, query.RecordsAfterParams{After: seq, Most: most(limit)})
	if err != nil {
		return nil, translate(err)
	}
	records := make([]event.Record, len(rows))
	for i, row := range rows {
		if records[i], err = recordOf(row); err != nil {
			return nil, translate(err)
		}
	}
	return records, nil
}

func (o outbox) Head(ctx context.Context) (int64, error) {
	seq, err := o.q.Head(ctx)
	return seq, translate(err)
}

func (o outbox) Prune(ctx context.Context, before time.Time) (int64, error) {
	count, err := o.q.PruneOutbox(ctx, before.UnixMicro())
	return count, translate(err)
}

func recordOf(row query.Outbox) (event.Record, error) {
	r := event.Record{
		Seq: row.Seq, Subject: row.Subject,
		Event: postern.Event{ID: row.ID, Type: row.Type, Account: row.AccountID, At: instant(row.At), Object: row.Object},
	}
	return r, document[postern.Actor]{&r.Actor}.Scan(row.Actor)
}

type settings struct{ q *query.Queries }

func (s settings) Get(ctx context.Context, key string) (string, error) {
	value, err := s.q.GetSetting(ctx, key)
	if err != nil {
		return "", found(err, "setting", key)
	}
	return value, nil
}

func (s settings) Put(ctx context.Context, key, value string) error {
	return translate(s.q.PutSetting(ctx, query.PutSettingParams{Key: key, Value: value}))
}
