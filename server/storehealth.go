package server

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// probeKey is a setting that health checks look for, and write when writes failed.
const probeKey = "health.probe"

// watchedStore knows whether the last write worked: a full disk takes nothing away
// from readers, so only who writes notices it.
type watchedStore struct {
	store.Store
	failed atomic.Bool
}

// Write implements store.Store.
func (w *watchedStore) Write(ctx context.Context, fn func(store.Tx) error) error {
	err := w.Store.Write(ctx, fn)
	switch {
	case err == nil:
		w.failed.Store(false)
	case postern.HasCode(err, postern.CodeStoreUnavailable) && !errors.Is(ctx.Err(), context.Canceled): // else the asker gave up
		w.failed.Store(true)
	}
	return err
}

// check reads something, and writes something if the last write failed. The error
// says what does not work.
func (w *watchedStore) check(ctx context.Context) error {
	err := w.Read(ctx, func(tx store.Tx) error {
		_, err := tx.Settings().Get(ctx, probeKey) // not there, mostly; the answer is what counts
		return err
	})
	if err != nil && !postern.HasCode(err, postern.CodeNotFound) {
		return err
	}
	if !w.failed.Load() {
		return nil
	}
	return w.Write(ctx, func(tx store.Tx) error { return tx.Settings().Put(ctx, probeKey, "written") })
}

// writable is 1 or 0, for metrics.
func (w *watchedStore) writable() float64 {
	if w.failed.Load() {
		return 0
	}
	return 1
}
