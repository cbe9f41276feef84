package control

import (
	"context"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/cluster"
)

const (
	leaveLook = 100 * time.Millisecond // how often something may have changed
	// movedFor is how long after the first of an agent's endpoints was succeeded the
	// others are waited for.
	movedFor = 5 * time.Second

	// A session that cannot be asked to move is moved in a pause of its traffic: requests
	// are held back for holdTime at most, in which it has to become quiet. If it does not,
	// because of a long transfer, it is tried again later, and ever less often; and at once
	// when nothing is open.
	holdTime      = 250 * time.Millisecond
	quietFor      = 20 * time.Millisecond
	holdLook      = 5 * time.Millisecond
	firstTryAgain = time.Second
	lastTryAgain  = time.Minute
	// goneTime is how long a request may still take that slipped in while the session was
	// being closed.
	goneTime = 2 * time.Second
)

// Link returns the link of a session that is connected here, nil for none.
func (c *Control) Link(id postern.SessionID) link.Session {
	if s := c.session(id); s != nil {
		return s.link
	}
	return nil
}

// Connected counts the sessions.
func (c *Control) Connected() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sessions)
}

// Leave has every agent go over to the process that has taken over from this one, a
// few at a time over the given time, and closes their sessions here once nothing of
// them is in use any more. It returns when ctx ends.
func (c *Control) Leave(ctx context.Context, over time.Duration) {
	leaving := make(map[*session]struct{})
	var all sync.WaitGroup
	defer all.Wait()
	look := time.NewTicker(leaveLook)
	defer look.Stop()
	for {
		var stay []*session
		for _, s := range c.all() {
			if _, asked := leaving[s]; !asked {
				stay = append(stay, s)
			}
		}
		for _, s := range stay {
			leaving[s] = struct{}{}
			all.Go(func() { s.leave(ctx) })
			pause(ctx, over/time.Duration(len(stay)))
		}
		over = 0 // who comes later comes alone
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// leave ends the session when its agent has gone over, or can without a visitor's
// noticing.
func (s *session) leave(ctx context.Context) {
	if m, ok := s.link.(link.Mover); ok && m.AskToMove() {
		s.awaitSuccessor(ctx)
		s.endWhenQuiet(ctx)
		return
	}
	for again := firstTryAgain; ctx.Err() == nil && !s.isReleased(); again = min(2*again, lastTryAgain) {
		if s.leaveInPause(ctx) {
			return
		}
		s.awaitQuiet(ctx, again)
	}
}

// awaitQuiet waits for d, or for less should nothing be open on the session.
func (s *session) awaitQuiet(ctx context.Context, d time.Duration) {
	for until := time.Now().Add(d); ctx.Err() == nil && time.Now().Before(until); {
		pause(ctx, leaveLook)
		if s.link.Streams() == 0 {
			return
		}
	}
}

// awaitSuccessor waits until the agent's new session has what this one has.
func (s *session) awaitSuccessor(ctx context.Context) {
	var moved time.Time // when the first endpoint was succeeded
	for ctx.Err() == nil && !s.isReleased() {
		here, gone := s.succeeded()
		switch {
		case gone > 0 && moved.IsZero():
			moved = time.Now()
		case here == 0 && gone == 0 && moved.IsZero() && time.Since(s.began) > movedFor:
			moved = time.Now() // has nothing that could be succeeded
		}
		if !moved.IsZero() && (here == 0 && gone > 0 || time.Since(moved) > movedFor) {
			return
		}
		pause(ctx, leaveLook)
	}
}

// succeeded counts the session's endpoints that are still its own and those that a
// newer session has.
func (s *session) succeeded() (here, gone int) {
	for _, e := range s.bindings() {
		if _, found := s.control.config.Cluster.Find(e.snapshot().ID); found {
			here++
		} else {
			gone++
		}
	}
	return here, gone
}

// endWhenQuiet ends the session when its last stream has ended.
func (s *session) endWhenQuiet(ctx context.Context) {
	s.withdraw()
	s.link.Drain()
	for s.link.Streams() > 0 {
		if ctx.Err() != nil || s.isReleased() {
			return
		}
		pause(ctx, leaveLook)
	}
	s.end(movedOn())
}

// leaveInPause holds new requests back, and ends the session if that makes it quiet;
// else it goes on as before. It tells whether the session is over.
func (s *session) leaveInPause(ctx context.Context) bool {
	s.withdraw()
	s.control.settle(ctx)
	if !s.quiet(ctx, holdTime) {
		if err := s.restore(); err != nil {
			s.control.log.WarnContext(s.context(ctx), "an endpoint did not come back after a pause", "error", err)
			s.end(movedOn())
			return true
		}
		s.control.settle(ctx)
		return s.isReleased()
	}
	s.link.Drain() // from here on nothing can slip in
	for until := time.Now().Add(goneTime); s.link.Streams() > 0 && time.Now().Before(until); {
		pause(ctx, holdLook)
	}
	s.end(movedOn())
	return true
}

// quiet waits until there has been no stream for a moment.
func (s *session) quiet(ctx context.Context, most time.Duration) bool {
	var since time.Time
	for until := time.Now().Add(most); ctx.Err() == nil && time.Now().Before(until); pause(ctx, holdLook) {
		switch {
		case s.link.Streams() > 0:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= quietFor:
			return true
		}
	}
	return false
}

// withdraw takes the session's endpoints out of the registry; visitors wait for them.
func (s *session) withdraw() {
	for _, e := range s.bindings() {
		e.mu.Lock()
		e.unregister()
		e.mu.Unlock()
	}
}

// restore undoes withdraw.
func (s *session) restore() error {
	for _, e := range s.bindings() {
		if err := e.registerAgain(); err != nil {
			return err
		}
	}
	return nil
}

func (e *endpoint) registerAgain() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.released {
		return nil
	}
	unregister, err := e.session.control.config.Cluster.Register(e.session.live(e.details, e.bindID))
	if err == nil {
		e.unregister = unregister
	}
	return err
}

func (s *session) isReleased() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.released
}

func movedOn() *postern.Error {
	return postern.Errorf(postern.CodeLinkDraining, "another process of the server has taken over; connect again")
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

var _ Cluster = (*cluster.Local)(nil)
