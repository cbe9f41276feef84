package control

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/cluster"
)

// pingTime is how long the holder of a wanted address has to show that it lives.
const pingTime = time.Second

// onlineAlone is online for an address that the server chose: it is never shared,
// pooling or not, or two agents that asked for "any name" would get one.
func (s *session) onlineAlone(ctx context.Context, e *endpoint, u postern.URL) error {
	for _, holder := range s.control.config.Cluster.Holders(u) {
		if !s.yields(ctx, holder) {
			return postern.Errorf(postern.CodeAlreadyOnline, "%s is already online", u)
		}
	}
	return s.online(ctx, e, u)
}

// online registers the endpoint under its URL and opens its port. Where somebody
// has the URL, he keeps it if he lives.
func (s *session) online(ctx context.Context, e *endpoint, u postern.URL) error {
	for {
		err := s.register(e, u)
		var conflict *cluster.Conflict
		if err == nil && e.snapshot().Pooling {
			s.endTwins(ctx, u)
		}
		if !errors.As(err, &conflict) {
			return err
		}
		if !slices.ContainsFunc(conflict.Holders(), func(holder cluster.Live) bool { return s.yields(ctx, holder) }) {
			return err
		}
	}
}

// mostTwins bounds how many members of a pool one that joins has pinged.
const mostTwins = 4

// endTwins ends what looks like this agent's own former sessions in a pool, if they
// are silent. An agent that crashed and came back joins the pool beside its ghost, and
// without this visitors would be sent to the ghost until its heartbeat fails.
func (s *session) endTwins(ctx context.Context, u postern.URL) {
	var pings sync.WaitGroup
	asked := 0
	for _, holder := range s.control.config.Cluster.Holders(u) {
		former := s.control.session(holder.Endpoint.Session)
		if former == nil || former == s || !s.twin(former) {
			continue
		}
		if asked++; asked > mostTwins {
			break
		}
		pings.Go(func() { s.yields(ctx, holder) })
	}
	pings.Wait()
}

// twin tells whether other may be an earlier session of the same agent.
func (s *session) twin(other *session) bool {
	return s.info.Credential == other.info.Credential && s.info.Agent.Hostname == other.info.Agent.Hostname &&
		s.link.RemoteAddr().Addr() == other.link.RemoteAddr().Addr()
}

// yields makes the holder of a wanted address give way if it does not answer a
// ping, and tells whether it did: half-open connections look alive until somebody
// asks. The agent's own former connection is gone already, since Admit ends it.
// Another account's holder is not even asked: nobody can use that to find out who is
// slow, let alone to cut him off.
func (s *session) yields(ctx context.Context, holder cluster.Live) bool {
	if holder.Session == s.link || holder.Endpoint.Account != s.info.Account {
		return false
	}
	if !silent(ctx, holder.Session) {
		s.control.heard(holder.Endpoint.Session)
		return false
	}
	s.control.log.InfoContext(ctx, "a silent session gives its address up",
		"silent_session", holder.Endpoint.Session, "url", holder.Endpoint.URL.String())
	if record := s.control.session(holder.Endpoint.Session); record != nil {
		record.end(silence())
		return true
	}
	holder.Session.Close(silence())
	return true
}

// silent pings a session and tells whether it is dead. It blocks for pingTime at
// most. When ctx ends it was the asker who gave up, and nobody is dead.
func silent(ctx context.Context, session link.Session) bool {
	ping, cancel := context.WithTimeout(ctx, pingTime)
	defer cancel()
	_, err := session.Ping(ping)
	return err != nil && ctx.Err() == nil
}

func silence() *postern.Error {
	return postern.Errorf(postern.CodeLinkLost, "the agent did not answer a ping within %v", pingTime)
}

// register takes the endpoint online at u, or fails without a trace.
func (s *session) register(e *endpoint, u postern.URL) error {
	e.mu.Lock()
	e.details.URL = u
	details := e.details
	e.mu.Unlock()
	unregister, err := s.control.config.Cluster.Register(s.live(details, e.bindID))
	if err != nil {
		return err
	}
	if err := s.control.config.Service.CheckCloud(details.Account, u, details.Pooling); err != nil {
		unregister()
		s.control.config.Cluster.Forget(u)
		return err
	}
	if u.HasPort() {
		if err := s.control.config.Ports.OpenPort(u.Scheme, u.Port); err != nil {
			unregister()
			return err
		}
	}
	online := s.control.metrics.endpoints.WithLabelValues(string(u.Scheme))
	online.Inc()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unregister = unregister
	var once sync.Once
	e.release = func(mayReturn bool) {
		once.Do(func() {
			online.Dec()
			e.mu.Lock()
			e.released = true
			e.unregister()
			e.mu.Unlock()
			if !mayReturn {
				s.control.config.Cluster.Forget(u)
			}
			if u.HasPort() {
				s.control.config.Ports.ClosePort(u.Scheme, u.Port, mayReturn)
			}
		})
	}
	return nil
}

// live is how an endpoint of the session is registered.
func (s *session) live(details postern.Endpoint, bindID string) cluster.Live {
	return cluster.Live{Endpoint: details, BindID: bindID, Session: s.link,
		Client: s.client.id + "/" + strconv.Itoa(s.client.leg), Since: s.since}
}

func (c *Control) session(id postern.SessionID) *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[id]
}
