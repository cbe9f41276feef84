package feed

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

const (
	// batch is how many records are read at once.
	batch = 100
	// keepEvery is how often a follower's place is stored while it works through a
	// batch. After a crash that much is handled a second time.
	keepEvery = time.Second
	// look is how often the outbox is looked at though nobody said that there is news:
	// another process may have written.
	look = 5 * time.Second
	// storeTime bounds each visit to the store.
	storeTime = 10 * time.Second

	firstRetry = 100 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// Start says where a follower begins whose name has no place yet.
type Start int

// The starts.
const (
	FromNow    Start = iota // with the next event
	FromOldest              // with the oldest that the outbox has
)

// Handler takes one delivery: a record, or, with Resync, the mark that records were
// pruned that the follower never saw; those that follow it are newer. One that returns
// an error is given the same again, after a pause. It should return soon after ctx ends.
type Handler func(ctx context.Context, d event.Delivery) error

// Feed lets followers read an outbox. All is required but the Logger.
type Feed struct {
	Store  store.Store
	Bus    *event.Bus // tells of commits of this process
	Logger *slog.Logger
}

// Follow gives handle what the outbox has and gets, until ctx ends; it returns then, once
// handle has. It goes on where the last call with the same name has stopped, in whatever
// process that was. Two that follow at the same time under one name each get everything.
func (f *Feed) Follow(ctx context.Context, name string, from Start, handle Handler) {
	logger := f.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	news := f.Bus.Subscribe(1)
	defer news.Close()
	w := follower{feed: f, name: name, handle: handle, logger: logger.With("subscriber", name)}
	w.persistently(ctx, "its place cannot be read", func(ctx context.Context) error { return w.begin(ctx, from) })
	for ctx.Err() == nil {
		var records []event.Record
		var head int64
		w.persistently(ctx, "the outbox cannot be read", func(ctx context.Context) (err error) {
			records, head, err = w.read(ctx)
			return err
		})
		w.take(ctx, records, head)
		if len(records) < batch {
			await(ctx, news)
		}
	}
	w.keep(context.WithoutCancel(ctx))
}

// Forget removes the place of a follower, which must not be following.
func (f *Feed) Forget(ctx context.Context, name string) error {
	return f.Store.Write(ctx, func(tx store.Tx) error { return tx.Cursors().Delete(ctx, name) })
}

// await waits for news, or for the time to look anyhow.
func await(ctx context.Context, news *event.Subscription) {
	ctx, cancel := context.WithTimeout(ctx, look)
	defer cancel()
	if _, err := news.Next(ctx); errors.Is(err, event.ErrClosed) {
		<-ctx.Done()
	}
}

// follower is one call of Follow.
type follower struct {
	feed   *Feed
	name   string
	handle Handler
	logger *slog.Logger

	place    int64 // the last record that was handled
	kept     int64 // what of it is stored
	keptLast time.Time
}

// begin finds the follower's place; a new one is stored at once.
func (w *follower) begin(ctx context.Context, from Start) error {
	return w.feed.Store.Write(ctx, func(tx store.Tx) error {
		place, err := tx.Cursors().Get(ctx, w.name)
		if postern.HasCode(err, postern.CodeNotFound) {
			place, err = w.start(ctx, tx, from)
			if err == nil {
				err = tx.Cursors().Advance(ctx, w.name, place)
			}
		}
		w.place, w.kept = place, place
		return err
	})
}

func (w *follower) start(ctx context.Context, tx store.Tx, from Start) (int64, error) {
	if from == FromOldest {
		oldest, err := tx.Outbox().After(ctx, 0, 1)
		if err != nil || len(oldest) > 0 {
			return firstOf(oldest) - 1, err
		}
	}
	return tx.Outbox().Head(ctx)
}

func firstOf(records []event.Record) int64 {
	if len(records) == 0 {
		return 0
	}
	return records[0].Seq
}

// read gives the next records, and the number of the newest.
func (w *follower) read(ctx context.Context) (records []event.Record, head int64, err error) {
	err = w.feed.Store.Read(ctx, func(tx store.Tx) error {
		if records, err = tx.Outbox().After(ctx, w.place, batch); err != nil {
			return err
		}
		head, err = tx.Outbox().Head(ctx)
		return err
	})
	return records, head, err
}

// take has records handled, and the gaps between them.
func (w *follower) take(ctx context.Context, records []event.Record, head int64) {
	for _, r := range records {
		if r.Seq > w.place+1 {
			w.deliver(ctx, event.Delivery{Resync: true}, r.Seq-1)
		}
		w.deliver(ctx, event.Delivery{Record: r}, r.Seq)
		if ctx.Err() != nil {
			return
		}
		if time.Since(w.keptLast) >= keepEvery {
			w.keep(ctx)
		}
	}
	if len(records) == 0 && head > w.place { // all that there was is pruned
		w.deliver(ctx, event.Delivery{Resync: true}, head)
	}
	w.keep(ctx)
}

// deliver has one delivery handled, which takes the follower to a place.
func (w *follower) deliver(ctx context.Context, d event.Delivery, to int64) {
	w.persistently(ctx, "an event was not taken", func(context.Context) error {
		err := w.handle(ctx, d) // without a limit of time: how long it takes is its own business
		if err == nil {
			w.place = to
		}
		return err
	})
}

// keep stores the place. That may fail: what was handled since is then handled again
// after a crash.
func (w *follower) keep(ctx context.Context) {
	w.keptLast = time.Now()
	if w.place == w.kept || ctx.Err() != nil { // Follow does it at its end
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	place := w.place
	err := w.feed.Store.Write(ctx, func(tx store.Tx) error { return tx.Cursors().Advance(ctx, w.name, place) })
	if err != nil {
		w.logger.WarnContext(ctx, "a subscriber's place in the outbox is not stored", "seq", place, "error", err)
		return
	}
	w.kept = place
}

// persistently does something again and again, ever less often, until it works or ctx
// ends.
func (w *follower) persistently(ctx context.Context, problem string, do func(context.Context) error) {
	for pause := firstRetry; ctx.Err() == nil; pause = min(2*pause, lastRetry) {
		limited, cancel := context.WithTimeout(ctx, storeTime)
		err := do(limited)
		cancel()
		if err == nil || ctx.Err() != nil {
			return
		}
		w.logger.WarnContext(ctx, "a subscriber of events is held up: "+problem, "seq", w.place, "again_in", pause, "error", err)
		select {
		case <-time.After(pause/2 + rand.N(pause/2)):
		case <-ctx.Done():
		}
	}
}
