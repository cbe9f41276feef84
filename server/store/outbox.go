package store

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

// Outbox keeps events, in the order in which their transactions were committed.
type Outbox interface {
	// Append adds an event and returns its sequence number. It is one more than that
	// of the event committed before: whoever has read up to n misses nothing by asking
	// for what is after n, also while others write.
	Append(ctx context.Context, e postern.Event, subject string) (int64, error)

	// After returns up to limit records with a sequence number above seq, in order.
	After(ctx context.Context, seq int64, limit int) ([]event.Record, error)

	// Head is the number of the newest event, 0 if there was never one.
	Head(ctx context.Context) (int64, error)

	// Prune deletes records from before the time and says how many. Sequence numbers
	// go on.
	Prune(ctx context.Context, before time.Time) (int64, error)
}

// Settings are small facts about the installation itself. Keys that sign or derive
// are not among them: they are files of the data directory.
type Settings interface {
	// Get fails with CodeNotFound.
	Get(ctx context.Context, key string) (string, error)
	// Put sets or replaces.
	Put(ctx context.Context, key, value string) error
}
