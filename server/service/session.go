package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

// SessionStarted records that an agent's session began. It never waits for the store:
// the event is written, and then published, soon after, in the order of the calls. An
// error says that the event is lost because too many wait already; the session itself
// goes on.
func (s *Service) SessionStarted(ctx context.Context, session postern.Session) error {
	return s.recordSession(ctx, event.AgentSessionStarted, session)
}

// SessionStopped records that an agent's session ended, as SessionStarted does.
func (s *Service) SessionStopped(ctx context.Context, session postern.Session) error {
	return s.recordSession(ctx, event.AgentSessionStopped, session)
}

func (s *Service) recordSession(ctx context.Context, kind postern.EventType, session postern.Session) error {
	e, err := newEvent(kind, session.Account, s.now(), s.TunnelSession(session))
	if err != nil {
		return err
	}
	if !s.pending.add(e, string(session.ID)) {
		s.logger.ErrorContext(ctx, "session event lost, too many wait for the store", "type", kind, "session", session.ID)
		return postern.Errorf(postern.CodeStoreUnavailable, "%d events wait for the store already", maxWaiting)
	}
	return nil
}
