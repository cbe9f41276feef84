package server

import (
	"context"
	"errors"

	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/service"
)

// Usage lists what accounts and credentials use, since this process began.
func (s *Server) Usage() []quota.Usage { return s.meters.Usage() }

// watchLimits keeps the meters' limits as the store has them.
func (s *Server) watchLimits(ctx context.Context) error {
	changes := s.bus.Subscribe(256, event.LimitsUpdated)
	defer changes.Close()
	s.readLimits(ctx)
	for {
		delivery, err := changes.Next(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, event.ErrClosed):
			return nil
		case err != nil:
			return err
		case delivery.Resync:
			s.readLimits(ctx)
		default:
			subject, overrides, err := service.ReadLimits(delivery.Record.Object)
			if err != nil {
				s.log.ErrorContext(ctx, "the event of a change of limits cannot be read", "error", err)
				continue
			}
			s.meters.Override(subject, overrides)
		}
	}
}

// readLimits reads all limits, again until that works.
func (s *Server) readLimits(ctx context.Context) {
	_ = s.retry(ctx, "the limits of accounts cannot be read; those known last stay in force", func() error {
		all, err := s.service.AllLimits(ctx)
		if err == nil {
			s.meters.OverrideAll(all)
		}
		return err
	}) // its error says that ctx has ended
}
