package server

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

// rereadEvery is how often credentials are read again that may have changed while the
// store did not answer.
const rereadEvery = time.Second

// liveCredentials holds the sessions of this process to what their credentials are. Its
// methods may be called from anywhere at once.
type liveCredentials struct {
	service  credentialReader
	sessions credentialSessions
	peers    credentialPeers
	log      *slog.Logger

	turn sync.Mutex // held from a credential's reading until its sessions obey: the last read wins

	mu    sync.Mutex
	stale map[postern.CredentialID]struct{} // what the store did not tell
	wake  chan struct{}                     // holds a token when there is something stale
}

// credentialReader is what liveCredentials needs of service.Service.
type credentialReader interface {
	KnownCredential(id postern.CredentialID) (postern.Credential, bool)
	KnownOwner(id postern.CredentialID) (postern.UserID, bool)
	CredentialInForce(ctx context.Context, id postern.CredentialID) (c postern.Credential, remembered bool, err error)
}

// credentialSessions is what it needs of control.Control.
type credentialSessions interface {
	Credentials() []postern.CredentialID
	CredentialChanged(now postern.Credential)
	CredentialRevoked(id postern.CredentialID)
	CredentialSuspended(id postern.CredentialID)
}

// credentialPeers is what it needs of handover.Peers.
type credentialPeers interface {
	CredentialChanged(id postern.CredentialID)
	CredentialRevoked(id postern.CredentialID)
}

func newLiveCredentials(service credentialReader, sessions credentialSessions, log *slog.Logger) *liveCredentials {
	return &liveCredentials{service: service, sessions: sessions, log: log,
		stale: make(map[postern.CredentialID]struct{}), wake: make(chan struct{}, 1)}
}

// follow does what this process's events say, until ctx ends.
func (l *liveCredentials) follow(ctx context.Context, bus *event.Bus) error {
	changes := bus.Subscribe(1024, event.CredentialRevoked, event.CredentialUpdated, event.SSHCredentialDeleted, event.SSHCredentialUpdated,
		event.ServiceUserUpdated, event.UserUpdated)
	defer changes.Close()
	ctx, cancel := context.WithCancel(ctx)
	var rereading sync.WaitGroup
	defer rereading.Wait()
	defer cancel()
	rereading.Go(func() { l.reread(ctx) })
	for {
		delivery, err := changes.Next(ctx)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		case delivery.Resync: // nobody knows which
			l.peers.CredentialChanged("")
			l.refresh(ctx, "")
		default:
			l.apply(ctx, delivery.Record)
		}
	}
}

// apply does what one event says. What this process has changed is in its memory, so the
// store is not asked; the other processes of the node have to.
func (l *liveCredentials) apply(ctx context.Context, r event.Record) {
	if r.Type == event.ServiceUserUpdated || r.Type == event.UserUpdated {
		l.applyOwner(ctx, postern.UserID(r.Subject))
		return
	}
	id := postern.CredentialID(r.Subject)
	if r.Type == event.CredentialRevoked || r.Type == event.SSHCredentialDeleted {
		l.peers.CredentialRevoked(id)
		l.sessions.CredentialRevoked(id)
		return
	}
	l.peers.CredentialChanged(id)
	if !l.applyKnown(id) { // forgotten for others, or revoked since
		l.refreshOne(ctx, id)
	}
}

// applyOwner looks at the credentials of a user, who may have ceased to be active.
func (l *liveCredentials) applyOwner(ctx context.Context, owner postern.UserID) {
	l.peers.CredentialChanged("")
	for _, id := range l.sessions.Credentials() {
		if whose, known := l.service.KnownOwner(id); !known || whose == owner {
			l.refreshOne(ctx, id)
		}
	}
}

func (l *liveCredentials) applyKnown(id postern.CredentialID) bool {
	l.turn.Lock()
	defer l.turn.Unlock()
	known, ok := l.service.KnownCredential(id)
	if ok {
		l.sessions.CredentialChanged(known)
	}
	return ok
}

// refresh has the sessions of a credential, or of each one if id is "", obey what the
// store says of it. What the store does not tell now, it is asked again.
func (l *liveCredentials) refresh(ctx context.Context, id postern.CredentialID) {
	if id != "" {
		l.refreshOne(ctx, id)
		return
	}
	for _, id := range l.sessions.Credentials() {
		l.refreshOne(ctx, id)
	}
}

func (l *liveCredentials) refreshOne(ctx context.Context, id postern.CredentialID) {
	l.turn.Lock()
	defer l.turn.Unlock()
	now, remembered, err := l.service.CredentialInForce(ctx, id)
	switch {
	case postern.HasCode(err, postern.CodeNotFound):
		l.sessions.CredentialRevoked(id)
	case postern.HasCode(err, postern.CodeOwnerInactive):
		l.sessions.CredentialSuspended(id)
	case err == nil:
		l.sessions.CredentialChanged(now)
	}
	told := err == nil || postern.HasCode(err, postern.CodeNotFound) || postern.HasCode(err, postern.CodeOwnerInactive)
	if remembered || !told {
		l.log.WarnContext(ctx, "it is not known whether a credential has changed; the store is asked again", "credential", id, "error", err)
		l.later(id)
	}
}

func (l *liveCredentials) later(id postern.CredentialID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stale[id] = struct{}{}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// reread asks the store again for what it did not tell, until ctx ends.
func (l *liveCredentials) reread(ctx context.Context) {
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(rereadEvery):
		case <-ctx.Done():
			return
		}
		l.mu.Lock()
		stale := slices.Collect(maps.Keys(l.stale))
		clear(l.stale)
		l.mu.Unlock()
		for _, id := range stale {
			l.refreshOne(ctx, id)
		}
	}
}
