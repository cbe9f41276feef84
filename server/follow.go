package server

import (
	"context"
	"errors"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

// retryStore is how long to wait before what could not be read from the store is asked for
// again. What is known stays in force.
const retryStore = time.Second

// follow calls read, which puts into force all that the store has of something, now and
// after every change that records of the types tell of, until ctx ends. problem says what
// it means that the store does not answer.
func (s *Server) follow(ctx context.Context, problem string, read func(context.Context) error, types ...postern.EventType) error {
	return s.followEvery(ctx, 0, problem, read, types...)
}

// followEvery is follow that reads anew after a time, too, whatever records tell; 0 is
// never.
func (s *Server) followEvery(ctx context.Context, every time.Duration, problem string, read func(context.Context) error, types ...postern.EventType) error {
	changes := s.bus.Subscribe(1, types...) // what changed meanwhile is read together
	defer changes.Close()
	for {
		if s.retry(ctx, problem, func() error { return read(ctx) }) != nil {
			return nil
		}
		// What a record says is read from the store, and so is what was missed.
		err := next(ctx, changes, every)
		switch {
		case ctx.Err() != nil || errors.Is(err, event.ErrClosed):
			return nil
		case err != nil:
			return err
		}
	}
}

// next waits for a record, or for the time to pass.
func next(ctx context.Context, changes *event.Subscription, every time.Duration) error {
	if every == 0 {
		_, err := changes.Next(ctx)
		return err
	}
	timed, cancel := context.WithTimeout(ctx, every)
	defer cancel()
	_, err := changes.Next(timed)
	if timed.Err() != nil && ctx.Err() == nil && !errors.Is(err, event.ErrClosed) {
		return nil
	}
	return err
}

// retry does something until it works; an error says that ctx has ended. The problem is
// told once.
func (s *Server) retry(ctx context.Context, problem string, do func() error) error {
	for told := false; ; told = true {
		err := do()
		if err == nil {
			return nil
		}
		if !told && ctx.Err() == nil {
			s.log.WarnContext(ctx, problem, "error", postern.AsError(err))
		}
		select {
		case <-time.After(retryStore):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
