package control

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/ksuid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/link"
)

const (
	// recordTime bounds what a session waits for its events to be recorded.
	recordTime = 5 * time.Second
	// roomPause is between two searches for the dead among an account's sessions.
	roomPause = 5 * time.Second
)

// Admit implements link.Registrar.
func (c *Control) Admit(ctx context.Context, s link.Session, h link.Hello) (link.Binder, link.Welcome, error) {
	ctx = obs.With(ctx, slog.String("transport", s.Transport()))
	if h.Gateway != nil {
		return c.admitConnector(ctx, s, h)
	}
	began := time.Now()
	credential, account, err := c.authenticate(ctx, s.RemoteAddr().Addr(), h)
	if err == nil {
		err = c.mayCome(ctx, s.RemoteAddr().Addr(), account.ID)
	}
	if err != nil {
		c.metrics.refused(err)
		c.log.InfoContext(ctx, "agent refused", "error", err, "user_agent", h.Agent.UserAgent)
		return nil, link.Welcome{}, err
	}
	record := c.newSession(s, h, credential, account)
	predecessor, err := c.enlist(record, began)
	if postern.HasCode(err, postern.CodeSessionLimit) && c.endSilent(ctx, account.ID) {
		predecessor, err = c.enlist(record, began)
	}
	if err != nil {
		c.metrics.refused(err)
		c.log.InfoContext(ctx, "agent refused", "error", err, "account", account.ID, "credential", credential.ID)
		return nil, link.Welcome{}, err
	}
	admitted := false
	defer func() {
		if !admitted { // a panic: nobody else would ever take the session off the list
			record.Release(postern.Errorf(postern.CodeInternal, "the session failed inside before it was admitted"))
		}
	}()
	if predecessor != nil {
		predecessor.end(postern.Errorf(postern.CodeLinkLost, "the agent has come back on another connection; this one is replaced"))
	}
	c.record(ctx, record, c.config.Service.SessionStarted)
	c.log.InfoContext(ctx, "session started", "session", record.info.ID, "account", account.ID, "credential", credential.ID,
		"agent_version", h.Agent.Version, "user_agent", h.Agent.UserAgent, "replaces", predecessor != nil)
	admitted = true
	return record, link.Welcome{
		SessionID:   record.info.ID,
		ClientID:    record.client.id,
		Cookie:      c.sealer.cookie(record.client.id, credential.ID),
		AccountName: account.Name,
		Region:      c.config.Region,
		Banner:      c.config.Banner,
	}, nil
}

// authenticate checks the token or key, within the limits on those who guess.
func (c *Control) authenticate(ctx context.Context, addr netip.Addr, h link.Hello) (postern.Credential, postern.Account, error) {
	secret, perAddress := proofOf(h), c.limits.Load().FailuresPerMinute
	throttled := func() error {
		if c.throttle.Admits(addr, secret, perAddress) == 0 {
			return nil
		}
		return postern.Errorf(postern.CodeTooManyFailures, "too many failed attempts to authenticate from %s; wait a minute", addr)
	}
	if err := throttled(); err != nil {
		return postern.Credential{}, postern.Account{}, err
	}
	leave, err := c.queue.enter(ctx)
	if err != nil {
		return postern.Credential{}, postern.Account{}, err
	}
	defer leave()
	// Asked again: thousands of attempts may have joined the queue before the first of
	// them had failed.
	if err := throttled(); err != nil {
		return postern.Credential{}, postern.Account{}, err
	}
	credential, account, err := c.credentialOf(ctx, h)
	switch {
	case err == nil:
		c.throttle.Succeeded(secret)
	case postern.HasCode(err, postern.CodeTokenMalformed) || postern.HasCode(err, postern.CodeTokenInvalid):
		c.throttle.Failed(addr, secret, perAddress)
	}
	if err != nil {
		return credential, account, postern.AsError(err)
	}
	return credential, account, nil
}

// newSession makes the record. The client id is the agent's former one only if it
// proves, by the cookie, that it had it under the same credential.
func (c *Control) newSession(s link.Session, h link.Hello, credential postern.Credential, account postern.Account) *session {
	id := client{id: h.ClientID, leg: h.Leg}
	if !c.sealer.knows(h.ClientID, h.Cookie, credential.ID) {
		id.id = rand.Text()
	}
	return &session{
		control: c, link: s, client: id, holder: credential, meter: c.config.Meters.Credential(account.ID, credential.ID),
		info: postern.Session{
			ID:         postern.SessionID("ts_" + ksuid.New().String()),
			Account:    account.ID,
			Credential: credential.ID,
			Agent:      h.Agent,
			RemoteAddr: s.RemoteAddr().String(),
			Transport:  s.Transport(),
			Region:     c.config.Region,
			StartedAt:  time.Now().UTC(),
		},
		began: time.Now(), since: uptime(),
		endpoints: make(map[string]*endpoint),
		consumers: make(map[*consuming]struct{}),
	}
}

// enlist makes the session known, in place of the one that its client had before. What
// became of its credential since its authentication began, holds for it.
func (c *Control) enlist(s *session, began time.Time) (predecessor *session, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, gone := c.revoked.Get(s.info.Credential); gone {
		return nil, revocation()
	}
	if late, changed := c.changed.Get(s.info.Credential); changed && !late.at.Before(began) {
		if late.suspended {
			return nil, suspension()
		}
		s.holder = late.credential
	}
	predecessor = c.clients[s.client]
	if err := c.full(s, predecessor != nil); err != nil {
		return nil, err
	}
	s.meter.AddSession()
	c.sessions[s.info.ID] = s
	c.clients[s.client] = s
	c.accounts[s.info.Account]++
	c.metrics.sessions.WithLabelValues(s.info.Transport).Inc()
	return predecessor, nil
}

// full tells why there is no place for s at its account or credential, nil if there is.
// One session is about to go where s replaces it. c.mu is held.
func (c *Control) full(s *session, replaces bool) error {
	leaving := 0
	if replaces { // of the same credential: see newSession
		leaving = 1
	}
	if s.meter != nil {
		if refusal := s.meter.SessionsOver(int64(leaving)); refusal != nil {
			return refusal
		}
		return nil
	}
	if count := c.accounts[s.info.Account] - leaving; count >= c.limits.Load().SessionsPerAccount {
		return postern.Errorf(postern.CodeSessionLimit,
			"the account has %d agents connected, as many as limits.sessions_per_account allows", count)
	}
	return nil
}

// endSilent makes room in an account that has as many sessions or endpoints as it may: it ends
// those that answer no ping, such as the half-open connection of an agent that
// crashed and has come back without its cookie. It tells whether there were any.
// Accounts that are full of living agents and knock all the time are not pinged all
// the time.
func (c *Control) endSilent(ctx context.Context, account postern.AccountID) bool {
	c.mu.Lock()
	if at, asked := c.roomAsked.Get(account); asked && time.Since(at) < roomPause {
		c.mu.Unlock()
		return false
	}
	c.roomAsked.Put(account, time.Now())
	c.mu.Unlock()
	var pings sync.WaitGroup
	var ended atomic.Bool
	for _, s := range c.all() {
		if s.info.Account != account {
			continue
		}
		pings.Go(func() {
			if silent(ctx, s.link) {
				c.log.InfoContext(s.context(ctx), "a silent session gives its place up")
				s.end(silence())
				ended.Store(true)
			}
		})
	}
	pings.Wait()
	return ended.Load()
}

// delist forgets the session, unless a successor has its client's place.
func (c *Control) delist(s *session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.meter.RemoveSession()
	delete(c.sessions, s.info.ID)
	if c.clients[s.client] == s {
		delete(c.clients, s.client)
	}
	if c.accounts[s.info.Account]--; c.accounts[s.info.Account] <= 0 {
		delete(c.accounts, s.info.Account)
	}
	c.metrics.sessions.WithLabelValues(s.info.Transport).Dec()
}

// record tells the service of a session. A store that is down must not end it.
func (c *Control) record(ctx context.Context, s *session, tell func(context.Context, postern.Session) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := tell(ctx, s.info); err != nil {
		c.log.WarnContext(ctx, "the session's event is not recorded", "session", s.info.ID, "error", err)
	}
}

func suspension() *postern.Error {
	return postern.Errorf(postern.CodeOwnerInactive, "the owner of this session's credential is not active")
}

func revocation() *postern.Error {
	return postern.Errorf(postern.CodeCredentialRevoked, "the authtoken or SSH key of this session has been revoked")
}
