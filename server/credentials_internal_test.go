package server

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

// authority is the store, this process's memory of it, the sessions and the peers, as far
// as liveCredentials meets them. Credentials are told apart by their descriptions.
type authority struct {
	mu     sync.Mutex
	stored map[postern.CredentialID]string // "" is revoked
	known  map[postern.CredentialID]string
	down   bool
	live   []postern.CredentialID
	heard  []string // by the sessions
	passed []string // to the peers
}

func (a *authority) KnownCredential(id postern.CredentialID) (postern.Credential, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	description := a.known[id]
	return postern.Credential{ID: id, Description: description}, description != ""
}

func (a *authority) CredentialInForce(_ context.Context, id postern.CredentialID) (postern.Credential, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	found, remembered := a.stored[id], false
	if a.down {
		if found, remembered = a.known[id], true; found == "" {
			return postern.Credential{}, false, postern.Errorf(postern.CodeStoreUnavailable, "down")
		}
	}
	if found == "suspended" {
		return postern.Credential{}, remembered, postern.Errorf(postern.CodeOwnerInactive, "not active")
	}
	if found == "" {
		return postern.Credential{}, remembered, postern.Errorf(postern.CodeNotFound, "revoked")
	}
	return postern.Credential{ID: id, Description: found}, remembered, nil
}

// KnownOwner: what is before an id's first "-" is its owner.
func (a *authority) KnownOwner(id postern.CredentialID) (postern.UserID, bool) {
	owner, _, found := strings.Cut(string(id), "-")
	return postern.UserID(owner), found
}

func (a *authority) Credentials() []postern.CredentialID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.live)
}

func (a *authority) hear(text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard = append(a.heard, text)
}

func (a *authority) CredentialChanged(now postern.Credential) {
	a.hear(string(now.ID) + " is " + now.Description)
}
func (a *authority) CredentialRevoked(id postern.CredentialID) { a.hear(string(id) + " is revoked") }
func (a *authority) CredentialSuspended(id postern.CredentialID) {
	a.hear(string(id) + " is suspended")
}

// word takes what was heard and passed on since the last call.
func (a *authority) word() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	word := fmt.Sprint(a.heard, a.passed)
	a.heard, a.passed = nil, nil
	return word
}

type neighbours struct{ *authority }

func (n neighbours) CredentialChanged(id postern.CredentialID) { n.pass("changed " + string(id)) }
func (n neighbours) CredentialRevoked(id postern.CredentialID) { n.pass("revoked " + string(id)) }

func (n neighbours) pass(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.passed = append(n.passed, text)
}

// followed runs a liveCredentials over a for as long as the test.
func followed(t *testing.T, a *authority) (*liveCredentials, *event.Bus) {
	t.Helper()
	l, bus := newLiveCredentials(a, a, slog.New(slog.DiscardHandler)), event.NewBus()
	l.peers = neighbours{a}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		if err := l.follow(ctx, bus); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	synctest.Wait()
	return l, bus
}

func about(kind postern.EventType, id string) event.Record {
	return event.Record{Event: postern.Event{Type: kind}, Subject: id}
}

func says(t *testing.T, a *authority, want string) {
	t.Helper()
	synctest.Wait()
	if got := a.word(); got != want {
		t.Errorf("heard and passed on %s, want %s", got, want)
	}
}

// What this process changes is done at once, store or no store, here and next door.
func TestOwnChangesNeedNoStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{down: true, known: map[postern.CredentialID]string{"cr_1": "narrow"}}
		_, bus := followed(t, a)
		bus.Publish(about(event.CredentialUpdated, "cr_1"), about(event.CredentialRevoked, "cr_2"))
		says(t, a, "[cr_1 is narrow cr_2 is revoked] [changed cr_1 revoked cr_2]")
	})
}

// A credential that this process has forgotten is read.
func TestForgottenCredentialIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{stored: map[postern.CredentialID]string{"cr_1": "narrow"}}
		_, bus := followed(t, a)
		bus.Publish(about(event.CredentialUpdated, "cr_1"), about(event.CredentialUpdated, "cr_gone"))
		says(t, a, "[cr_1 is narrow cr_gone is revoked] [changed cr_1 changed cr_gone]")
	})
}

// B5-35: whoever missed events reads what all sessions have, and has the others do so.
func TestMissedChangesAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{stored: map[postern.CredentialID]string{"cr_1": "narrow"}, live: []postern.CredentialID{"cr_1", "cr_2"}}
		_, bus := followed(t, a)
		missed := make([]event.Record, 2000) // more than wait for anybody
		for i := range missed {
			missed[i] = about(event.CredentialUpdated, "cr_missed")
		}
		bus.Publish(missed...)
		synctest.Wait()
		got := a.word()
		if want := "[cr_1 is narrow cr_2 is revoked"; got[:len(want)] != want {
			t.Errorf("after a resync heard %.200s", got)
		}
		if !strings.Contains(got, "[changed  ") && !strings.Contains(got, "[changed ]") {
			t.Errorf("the others were not told that anything may have changed: %.200s", got)
		}
	})
}

// Another process's change is asked of the store until it answers; what is remembered
// holds meanwhile.
func TestChangeIsReadAgainUntilTheStoreAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{down: true, stored: map[postern.CredentialID]string{"cr_1": "narrow"}, known: map[postern.CredentialID]string{"cr_1": "wide"}}
		l, _ := followed(t, a)
		l.refresh(t.Context(), "cr_1")
		l.refresh(t.Context(), "cr_unknown")
		says(t, a, "[cr_1 is wide] []")
		time.Sleep(rereadEvery)
		says(t, a, "[cr_1 is wide] []")
		a.mu.Lock()
		a.down = false
		a.mu.Unlock()
		time.Sleep(rereadEvery)
		synctest.Wait()
		heard := a.heard
		slices.Sort(heard)
		says(t, a, "[cr_1 is narrow cr_unknown is revoked] []")
		time.Sleep(time.Minute)
		says(t, a, "[] []")
	})
}

// Sessions end of a service user that is no longer active, and those of nobody else are
// looked at. What cannot be told from it is read.
func TestInactiveOwnersSessionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{live: []postern.CredentialID{"bot_1-a", "bot_1-b", "bot_2-a", "cr_forgotten"}, stored: map[postern.CredentialID]string{
			"bot_1-a": "suspended", "bot_1-b": "suspended", "bot_2-a": "good", "cr_forgotten": "good",
		}}
		_, bus := followed(t, a)
		bus.Publish(about(event.ServiceUserUpdated, "bot_1"))
		says(t, a, "[bot_1-a is suspended bot_1-b is suspended cr_forgotten is good] [changed ]")
		time.Sleep(time.Minute)
		says(t, a, "[] []")
	})
}
