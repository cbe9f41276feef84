package store

import "context"

// Cursors are how far subscribers, by their names, have read the outbox.
type Cursors interface {
	// Get returns the number of the last record that a subscriber is done with. It
	// fails with CodeNotFound for one that has not begun.
	Get(ctx context.Context, subscriber string) (int64, error)

	// Advance notes that a subscriber is done with all records up to seq. A place that
	// is behind the one that is stored changes nothing.
	Advance(ctx context.Context, subscriber string, seq int64) error

	// Delete forgets a subscriber; one that is not known is no error.
	Delete(ctx context.Context, subscriber string) error
}
