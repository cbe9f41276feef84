package session

import (
	"context"
	"log/slog"
	"time"

	"github.com/postern-dev/postern"
)

// watchTTLs takes endpoints offline whose time has passed, until ctx ends.
func (s *Supervisor) watchTTLs(ctx context.Context) {
	for {
		s.mu.Lock()
		answered := s.answered
		next, at := s.nextTTL()
		s.mu.Unlock()
		if next != nil && !time.Now().Before(at) {
			s.expire(ctx, next)
			continue
		}
		if !awaitTTL(ctx, answered, next != nil, at) {
			return
		}
	}
}

// awaitTTL waits for news, or a time; false: ctx has ended.
func awaitTTL(ctx context.Context, news <-chan struct{}, timed bool, at time.Time) bool {
	var timeout <-chan time.Time
	if timed {
		timer := time.NewTimer(time.Until(at))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-news:
	case <-timeout:
	case <-ctx.Done():
		return false
	}
	return true
}

// nextTTL gives the binding whose time passes next, and when; nil: none has one, or
// none was online yet. The lock is held.
func (s *Supervisor) nextTTL() (next *binding, at time.Time) {
	for _, b := range s.bindings {
		if b.ttl <= 0 || b.since.IsZero() || b.removed {
			continue
		}
		if end := b.since.Add(b.ttl); next == nil || end.Before(at) {
			next, at = b, end
		}
	}
	return next, at
}

// expire takes the endpoint of a binding offline, with its twins.
func (s *Supervisor) expire(ctx context.Context, b *binding) {
	s.mu.Lock()
	var gone []*binding
	for _, other := range s.bindings {
		if other.name == b.name {
			gone = append(gone, other)
		}
	}
	s.mu.Unlock()
	err := s.forget(ctx, gone)
	why := postern.Errorf(postern.CodeEndpointOffline, "its time of %s is over", b.ttl)
	s.log.InfoContext(ctx, "tunnel reached the end of its ttl", slog.String("obj", "tunnels"), slog.String("name", b.name), slog.Duration("ttl", b.ttl))
	if err != nil {
		s.log.DebugContext(ctx, "the server did not answer to the end of a tunnel", slog.String("obj", "tunnels"), slog.String("name", b.name), slog.Any("err", err))
	}
	if s.config.Events.Stopped != nil {
		s.tell(func(e Events) { e.Stopped(b.name, why) })
	}
	s.tellRemoved(gone)
}
