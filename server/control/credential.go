package control

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// change is what a credential has become, and when that was heard of: whoever began to
// authenticate before may have been given what it was.
type change struct {
	credential postern.Credential
	suspended  bool // nobody is let in with it
	at         time.Time
}

// CredentialRevoked ends every session of a credential, and refuses those that
// authenticated a moment before.
func (c *Control) CredentialRevoked(id postern.CredentialID) {
	c.mu.Lock()
	c.revoked.Put(id, struct{}{})
	c.mu.Unlock()
	var ends sync.WaitGroup
	for _, s := range c.of(id) {
		ends.Go(func() { s.dismiss(revocation()) })
	}
	ends.Wait()
}

// partingTime bounds what a session that ends has to tell its agent.
const partingTime = 250 * time.Millisecond

// dismiss ends the session of a credential that is no good any more. ngrok's wire has no
// word for why a session ends, its agents see a lost connection; but it has one for each
// endpoint.
func (s *session) dismiss(why *postern.Error) {
	endpoints := s.bindings()
	s.Release(why)
	if !s.native() {
		ctx, cancel := context.WithTimeout(s.context(context.Background()), partingTime)
		defer cancel()
		var words sync.WaitGroup
		for _, e := range endpoints {
			words.Go(func() { _ = s.link.StopEndpoint(ctx, e.bindID, why) }) // who does not take it sees the end
		}
		words.Wait()
	}
	s.link.Close(why)
}

// CredentialSuspended ends every session of a credential whose owner is not active, and
// refuses those that authenticated a moment before. Later ones are welcome: whoever
// authenticates them knows better.
func (c *Control) CredentialSuspended(id postern.CredentialID) {
	c.mu.Lock()
	c.changed.Put(id, change{suspended: true, at: time.Now()})
	c.mu.Unlock()
	var ends sync.WaitGroup
	for _, s := range c.of(id) {
		ends.Go(func() { s.dismiss(suspension()) })
	}
	ends.Wait()
}

// CredentialChanged holds every session of a credential to what it is now: endpoints
// that its ACL no longer covers go offline, and their agents are told why; all others
// stay, and what is bound from now on obeys the new ACL. When it returns no visitor
// reaches what is not covered. It does not wait for the agents to hear of it.
func (c *Control) CredentialChanged(now postern.Credential) {
	c.mu.Lock()
	c.changed.Put(now.ID, change{credential: now, at: time.Now()})
	c.mu.Unlock()
	var stopped []*endpoint
	for _, s := range c.of(now.ID) {
		stopped = append(stopped, s.obey(now)...)
	}
	if len(stopped) == 0 {
		return
	}
	c.settle(context.Background())
	for _, e := range stopped {
		c.notices.Go(e.tellNotAllowed)
	}
}

// obey gives the session's credential another form, and takes offline what it no longer
// covers. Whatever is being bound meanwhile is looked at when it is settled.
func (s *session) obey(now postern.Credential) (stopped []*endpoint) {
	s.mu.Lock()
	s.holder = now
	s.mu.Unlock()
	s.endUncovered(now.ACL)
	for _, e := range s.bindings() {
		if now.ACL.Allows(e.snapshot().URL) || !s.remove(e) {
			continue
		}
		e.offline(false)
		stopped = append(stopped, e)
	}
	return stopped
}

// tellNotAllowed tells the agent of an endpoint that went offline because of its ACL.
func (e *endpoint) tellNotAllowed() {
	s, details := e.session, e.snapshot()
	ctx, cancel := context.WithTimeout(s.context(context.Background()), commandTime)
	defer cancel()
	why := notAllowed(details.URL)
	s.control.log.InfoContext(ctx, "endpoint offline", "endpoint", details.ID, "url", details.URL.String(), "reason", why)
	if err := s.link.StopEndpoint(ctx, e.bindID, why); err != nil {
		s.control.log.InfoContext(ctx, "the agent was not told that its endpoint is offline", "endpoint", details.ID, "error", err)
	}
}

// of lists the sessions of a credential.
func (c *Control) of(id postern.CredentialID) []*session {
	return slices.DeleteFunc(c.all(), func(s *session) bool { return s.info.Credential != id })
}

// Credentials lists the credentials of live sessions, each once: whoever lost events
// of changes checks these.
func (c *Control) Credentials() []postern.CredentialID {
	var ids []postern.CredentialID
	for _, s := range c.all() {
		ids = append(ids, s.info.Credential)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
