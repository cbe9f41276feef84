package session

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/postern-dev/postern"
)

// drain ends the agent without failing a request: endpoints go offline, so that no
// new stream comes, those that are open finish, and only then the session ends.
func (s *Supervisor) drain(work context.Context, l *live) {
	s.tellStop(work)
	s.setStatus(func(st *Status) { st.State, st.Why = Draining, nil })
	s.mu.Lock()
	bindings := slices.Clone(s.bindings)
	for _, b := range bindings {
		b.removed = true // or keepBound would take them online again
	}
	s.mu.Unlock()
	if err := l.unbind(work, bindings); err != nil {
		s.log.DebugContext(work, "unbind failed while draining", logObject, slog.Any("err", err))
	}
	// Streams that the server opened before it read our unbind lie in front of the
	// answer to this ping.
	ctx, cancel := context.WithTimeout(work, callPatience)
	_, _ = l.client.Ping(ctx) // a session that is dead has no streams left to wait for
	cancel()
	s.awaitStreams(work)
	s.log.InfoContext(work, "session closing", logObject, slog.Any("err", nil))
	l.end(postern.Errorf(postern.CodeLinkDraining, "the agent is stopping"))
}

// tellStop is the line that programs wait for before they expect the end.
func (s *Supervisor) tellStop(ctx context.Context) {
	s.log.InfoContext(ctx, "received stop request", slog.String("obj", "app"),
		slog.String("stopReq", fmt.Sprintf("{err:<nil> restart:%t}", s.restarting.Load())))
}

// awaitStreams waits for open streams, as long as the drain may take.
func (s *Supervisor) awaitStreams(work context.Context) {
	ctx, cancel := context.WithTimeout(work, s.config.DrainTimeout)
	defer cancel()
	if left := s.streams.Wait(ctx); left > 0 {
		s.log.WarnContext(ctx, "streams were cut off at the end of the drain", logObject, slog.Int("streams", left))
	}
}

// collectStreams waits for handlers whose session has ended: their streams fail,
// so they are about to return. The bound is for those of an embedding program.
func (s *Supervisor) collectStreams() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.streams.Wait(ctx)
}
