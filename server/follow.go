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
	changes := s.bus.Subscribe(1, types...) // what changed meanwhile is read together
	defer changes.Close()
	for {
		if s.retry(ctx, problem, func() error { return read(ctx) }) != nil {
			return nil
		}
		// What a record says is read from the store, and so is what was missed.
		_, err := changes.Next(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, event.ErrClosed):
			return nil
		case err != nil:
			return err
		}
	}
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
