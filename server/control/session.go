package control

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/quota"
)

// settleTime bounds what waits for the routes to follow.
const settleTime = 5 * time.Second

// session is one admitted agent; it is its Binder.
type session struct {
	control *Control
	link    link.Session
	client  client
	info    postern.Session
	meter   *quota.Meter // of the credential
	// began and since are when the session began, by clocks that nobody sets, as the one
	// of info.StartedAt may be: for this process, and for all of the machine.
	began time.Time
	since time.Duration

	mu        sync.Mutex
	holder    postern.Credential      // as it is now; its id never changes
	endpoints map[string]*endpoint    // by bind id; one that is being bound has no release
	consumers map[*consuming]struct{} // streams to gateways' ports
	released  bool
}

// endpoint is one address that a session has online.
type endpoint struct {
	session *session
	bindID  string

	mu      sync.Mutex
	details postern.Endpoint
	release func(mayReturn bool) // idempotent; takes it offline

	unregister func() // idempotent; takes it out of the registry alone
	released   bool
}

// credential is what the session was admitted with, as it is now.
func (s *session) credential() postern.Credential {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.holder
}

func (s *session) context(ctx context.Context) context.Context {
	return obs.With(ctx, slog.String("session", string(s.info.ID)), slog.String("account", string(s.info.Account)))
}

// reserve makes room for an endpoint and gives it its bind id.
func (s *session) reserve(bindID string, details postern.Endpoint) (*endpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.released {
		return nil, postern.Errorf(postern.CodeLinkLost, "the session has ended")
	}
	if most := s.control.limits.Load().EndpointsPerSession; len(s.endpoints) >= most {
		return nil, postern.Errorf(postern.CodeEndpointLimit,
			"the session has %d endpoints, as many as limits.endpoints_per_session allows", len(s.endpoints))
	}
	if _, taken := s.endpoints[bindID]; taken {
		return nil, postern.Errorf(postern.CodeBindInvalid, "the session has an endpoint of the id %q already; unbind it first", shorten(bindID))
	}
	if refusal := s.meter.AddEndpoint(); refusal != nil {
		return nil, refusal
	}
	e := &endpoint{session: s, bindID: bindID, details: details}
	s.endpoints[bindID] = e
	return e, nil
}

// remove gives an endpoint's place back; it tells whether it was there.
func (s *session) remove(e *endpoint) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.endpoints[e.bindID] != e {
		return false
	}
	delete(s.endpoints, e.bindID)
	s.meter.RemoveEndpoint()
	return true
}

// settled makes a bound endpoint the session's own. It fails when the session ended
// meanwhile, so that nobody else will release the endpoint, or its ACL has become too
// narrow: whoever narrowed it may not have seen the endpoint.
func (s *session) settled(e *endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := e.snapshot().URL; !s.released && !s.holder.ACL.Allows(u) {
		return notAllowed(u)
	}
	if s.released || s.endpoints[e.bindID] != e {
		return postern.Errorf(postern.CodeLinkLost, "the endpoint was unbound, or the session ended, before the endpoint was online")
	}
	return nil
}

// BindLabels implements link.Binder.
func (s *session) BindLabels(_ context.Context, _ string, labels map[string]string) (link.Bound, error) {
	if !s.credential().ACL.AllowsLabels(labels) {
		return link.Bound{}, postern.Errorf(postern.CodeLabelNotAllowed, "the credential's ACL does not allow all of the labels of this tunnel")
	}
	return link.Bound{}, postern.Errorf(postern.CodeOptionUnsupported,
		"labelled tunnels belong to edges, which this server does not have; bind an endpoint by its URL")
}

// Unbind implements link.Binder.
func (s *session) Unbind(ctx context.Context, id string) error {
	s.mu.Lock()
	e := s.endpoints[id]
	s.mu.Unlock()
	if e == nil {
		return nil
	}
	s.unbind(s.context(ctx), e, "unbound by the agent")
	return nil
}

// unbind takes one endpoint offline; whoever removes it from the session does it.
func (s *session) unbind(ctx context.Context, e *endpoint, why string) {
	if !s.remove(e) {
		return
	}
	e.offline(false)
	s.control.settle(ctx)
	s.control.log.InfoContext(ctx, "endpoint offline", "endpoint", e.snapshot().ID, "url", e.snapshot().URL.String(), "reason", why)
}

// offline takes the endpoint offline. Visitors wait a moment for one that may return:
// its session was lost, nobody has asked for its end.
func (e *endpoint) offline(mayReturn bool) {
	e.mu.Lock()
	release := e.release
	e.mu.Unlock()
	if release != nil {
		release(mayReturn)
	}
}

func (e *endpoint) snapshot() postern.Endpoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.details
}

// Release implements link.Binder.
func (s *session) Release(why error) {
	s.mu.Lock()
	if s.released {
		s.mu.Unlock()
		return
	}
	s.released = true
	endpoints := s.endpoints
	s.endpoints = nil
	s.mu.Unlock()

	ctx, cancel := context.WithTimeout(s.context(context.Background()), settleTime)
	defer cancel()
	mayReturn := !postern.HasCode(why, postern.CodeCredentialRevoked) && !postern.HasCode(why, postern.CodeOwnerInactive)
	for _, e := range endpoints {
		e.offline(mayReturn)
		s.meter.RemoveEndpoint()
	}
	if len(endpoints) > 0 {
		s.control.settle(ctx)
	}
	s.control.delist(s)
	s.control.record(ctx, s, s.control.config.Service.SessionStopped)
	s.control.log.InfoContext(ctx, "session ended", "reason", why, "endpoints", len(endpoints),
		"duration", time.Since(s.began).Round(time.Millisecond))
}

// end releases what the session has and closes it.
func (s *session) end(why *postern.Error) {
	s.Release(why)
	s.link.Close(why)
}

// settle waits until the routes have followed. Routes to what is gone answer
// "offline" by themselves, so a failure costs nothing but a stale table.
func (c *Control) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	if err := c.config.Routes.Sync(ctx); err != nil {
		c.log.WarnContext(ctx, "the route table did not follow", "error", err)
	}
}

// Interface guard.
var _ link.Binder = (*session)(nil)
