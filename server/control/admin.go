package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// commandTime is how long an agent has to answer a command: some never do.
const commandTime = 10 * time.Second

// LiveSession is a session as an operator sees it.
type LiveSession struct {
	postern.Session
	Endpoints []postern.Endpoint // oldest first
	Streams   int                // open now
}

// Sessions lists who is connected, oldest first.
func (c *Control) Sessions() []LiveSession {
	var all []LiveSession
	for _, s := range c.all() {
		live := LiveSession{Session: s.info, Streams: s.link.Streams()}
		for _, e := range s.bindings() {
			live.Endpoints = append(live.Endpoints, e.snapshot())
		}
		slices.SortFunc(live.Endpoints, func(a, b postern.Endpoint) int { return cmp.Compare(a.ID, b.ID) })
		all = append(all, live)
	}
	slices.SortFunc(all, func(a, b LiveSession) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func (c *Control) all() []*session {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*session, 0, len(c.sessions))
	for _, s := range c.sessions {
		all = append(all, s)
	}
	return all
}

// bindings are the endpoints that are online.
func (s *session) bindings() []*endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	var online []*endpoint
	for _, e := range s.endpoints {
		e.mu.Lock()
		if e.release != nil {
			online = append(online, e)
		}
		e.mu.Unlock()
	}
	return online
}

// SessionsOf lists the sessions of an account, in no order.
func (c *Control) SessionsOf(account postern.AccountID) []postern.Session {
	var sessions []postern.Session
	for _, s := range c.all() {
		if s.info.Account == account {
			sessions = append(sessions, s.info)
		}
	}
	return sessions
}

// Command has a session's agent stop, restart or update itself, and waits for its
// answer. Errors: CodeNotFound; CodeRestartUnsupported and its like where the agent
// cannot do it; CodeCommandFailed (a restart), CodeStopFailed and CodeUpdateFailed where
// it tried; CodeCommandUnanswered.
func (c *Control) Command(ctx context.Context, id postern.SessionID, command link.Command) error {
	s := c.session(id)
	if s == nil {
		return postern.Errorf(postern.CodeNotFound, "no session %q is connected", shorten(string(id)))
	}
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	return commandError(s.link.Command(ctx, command), command.Action)
}

// commandError gives a failure the code of its action; a link has one for all.
func commandError(err error, action link.Action) error {
	if err == nil {
		return nil
	}
	failed := *postern.AsError(err)
	switch failed.Code {
	case postern.CodeRestartUnsupported, postern.CodeStopUnsupported, postern.CodeUpdateUnsupported, postern.CodeCommandUnanswered:
	case postern.CodeCommandFailed:
		switch action {
		case link.Stop:
			failed.Code = postern.CodeStopFailed
		case link.Update:
			failed.Code = postern.CodeUpdateFailed
		}
	default: // the way to the agent failed
		return postern.Errorf(postern.CodeCommandUnanswered, "the agent did not answer the command %q", action).Because(err)
	}
	return &failed
}

// StopEndpoint takes an endpoint offline and tells its agent why. The agent's
// other endpoints live on.
func (c *Control) StopEndpoint(ctx context.Context, id postern.EndpointID, why *postern.Error) error {
	for _, s := range c.all() {
		if e := s.endpointOf(id); e != nil {
			s.unbind(s.context(ctx), e, "stopped by the operator")
			ctx, cancel := context.WithTimeout(ctx, commandTime)
			defer cancel()
			return s.link.StopEndpoint(ctx, e.bindID, why)
		}
	}
	return postern.Errorf(postern.CodeNotFound, "no endpoint %q is online", shorten(string(id)))
}
