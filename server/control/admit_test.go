package control_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/control"
)

func TestAdmitWelcomes(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	if c.AccountName != "the account" || c.Welcome.Region != "local" || c.ClientID == "" || c.Cookie == "" || postern.IDPrefix(string(c.SessionID)) != "ts" {
		t.Errorf("welcome %+v", c.Welcome)
	}
	sessions := w.Sessions()
	if len(sessions) != 1 || sessions[0].ID != c.SessionID || sessions[0].Credential != "cr_alpha" {
		t.Errorf("sessions %+v", sessions)
	}
}

func TestAdmitRefusesUnknownToken(t *testing.T) {
	w := newWorld(t)
	_, _, err := w.Admit(t.Context(), newAgent("198.51.100.7:1"), link.Hello{Token: "nonsense"})
	if !postern.HasCode(err, postern.CodeTokenInvalid) {
		t.Fatalf("got %v", err)
	}
	if len(w.Sessions()) != 0 {
		t.Error("a refused agent has a session")
	}
}

// B2: failures are throttled, per token and per address, with a way back.
func TestThrottle(t *testing.T) {
	try := func(w *world, addr string, token postern.Secret) error {
		a := newAgent(addr)
		binder, _, err := w.Admit(w.t.Context(), a, link.Hello{Token: token})
		if err == nil {
			binder.Release(nil)
		}
		return err
	}
	t.Run("one token", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			for i := range 10 {
				if err := try(w, "198.51.100.7:1", "wrong"); !postern.HasCode(err, postern.CodeTokenInvalid) {
					t.Fatalf("attempt %d: %v", i, err)
				}
			}
			heard := w.service.heard
			if err := try(w, "203.0.113.9:1", "wrong"); !postern.HasCode(err, postern.CodeTooManyFailures) {
				t.Errorf("the token is tried on from elsewhere: %v", err)
			}
			if w.service.heard != heard {
				t.Error("a throttled attempt reached the store")
			}
			if err := try(w, "198.51.100.7:1", "alpha"); err != nil {
				t.Errorf("another's valid token is refused: %v", err)
			}
			time.Sleep(7 * time.Second)
			if err := try(w, "198.51.100.7:1", "wrong"); !postern.HasCode(err, postern.CodeTokenInvalid) {
				t.Errorf("after a while the token is not heard again: %v", err)
			}
		})
	})
	t.Run("one address", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			if err := try(w, "[2001:db8::1]:1", "alpha"); err != nil {
				t.Fatal(err)
			}
			for i := range 20 {
				addr := fmt.Sprintf("[2001:db8::%x]:1", i+1) // one /64
				if err := try(w, addr, postern.Secret(fmt.Sprint("guess", i))); !postern.HasCode(err, postern.CodeTokenInvalid) {
					t.Fatalf("attempt %d: %v", i, err)
				}
			}
			if err := try(w, "[2001:db8::ffff]:1", "beta"); !postern.HasCode(err, postern.CodeTooManyFailures) {
				t.Errorf("the address is not throttled: %v", err)
			}
			if err := try(w, "[2001:db8::ffff]:1", "alpha"); err != nil {
				t.Errorf("a token that was right before is refused: %v", err)
			}
			if err := try(w, "[2001:db8:0:1::1]:1", "beta"); err != nil {
				t.Errorf("a neighbour's network is refused: %v", err)
			}
		})
	})
}

// B5-32: a herd waits for its turn; it does not take every processor at once.
func TestAuthenticationsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *control.Config) { c.Limits.SessionsPerAccount = 100 })
		w.service.delay = make(chan struct{})
		results := make(chan error, 10)
		for i := range 10 {
			go func() {
				a := newAgent(fmt.Sprintf("198.51.100.%d:1", i+1))
				binder, _, err := w.Admit(t.Context(), a, link.Hello{Token: "alpha"})
				if err == nil {
					binder.Release(nil)
				}
				results <- err
			}()
		}
		synctest.Wait()
		if w.service.heard != 2 {
			t.Errorf("%d authentications at once, want 2", w.service.heard)
		}
		close(w.service.delay)
		for range 10 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestSessionLimit(t *testing.T) {
	w := newWorld(t)
	first := w.connect(link.Hello{Token: "alpha"})
	w.connect(link.Hello{Token: "alpha"})
	w.connect(link.Hello{Token: "beta"})
	_, _, err := w.Admit(t.Context(), newAgent("198.51.100.7:1"), link.Hello{Token: "alpha"})
	if !postern.HasCode(err, postern.CodeSessionLimit) {
		t.Fatalf("a fourth session of the account: %v", err)
	}
	// Coming back takes no more room than before.
	w.connect(link.Hello{Token: "alpha", ClientID: first.ClientID, Cookie: first.Cookie})
	w.connect(link.Hello{Token: "gamma"}) // another account has its own room
	w.SetLimits(control.Limits{SessionsPerAccount: 4, EndpointsPerSession: 4, FailuresPerMinute: 20})
	w.connect(link.Hello{Token: "alpha"})
}

// A client id is worth nothing without the cookie that was given with it, under
// the same credential.
func TestTakeover(t *testing.T) {
	tests := []struct {
		name    string
		hello   func(first *connected) link.Hello
		replace bool
	}{
		{"id and cookie", func(f *connected) link.Hello {
			return link.Hello{Token: "alpha", ClientID: f.ClientID, Cookie: f.Cookie}
		}, true},
		{"id alone", func(f *connected) link.Hello { return link.Hello{Token: "alpha", ClientID: f.ClientID} }, false},
		{"wrong cookie", func(f *connected) link.Hello {
			return link.Hello{Token: "alpha", ClientID: f.ClientID, Cookie: "A" + f.Cookie[1:] + "A"}
		}, false},
		{"another credential", func(f *connected) link.Hello {
			return link.Hello{Token: "beta", ClientID: f.ClientID, Cookie: f.Cookie}
		}, false},
		{"another leg", func(f *connected) link.Hello {
			return link.Hello{Token: "alpha", ClientID: f.ClientID, Cookie: f.Cookie, Leg: 1}
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t)
			first := w.connect(link.Hello{Token: "alpha"})
			first.bind(t, request(t, "https://app.example.com"))
			second := w.connect(test.hello(first))
			if replaced := first.Cause() != nil; replaced != test.replace {
				t.Errorf("first session replaced: %v, want %v", replaced, test.replace)
			}
			if same := second.ClientID == first.ClientID; same != (test.replace || test.name == "another leg") {
				t.Errorf("client id kept: %v", same)
			}
			if test.replace {
				second.bind(t, request(t, "https://app.example.com"))
			} else {
				second.refuse(t, request(t, "https://app.example.com"), postern.CodeAlreadyOnline)
			}
		})
	}
}

// The cookie outlives the server: nothing about it is kept in memory.
func TestCookieSurvivesRestart(t *testing.T) {
	w := newWorld(t)
	first := w.connect(link.Hello{Token: "alpha"})
	again := w.restart().connect(link.Hello{Token: "alpha", ClientID: first.ClientID, Cookie: first.Cookie})
	if again.ClientID != first.ClientID {
		t.Error("the client has another id after the restart")
	}
}

func TestRevocationEndsSessions(t *testing.T) {
	w := newWorld(t)
	sdk := newAgent("198.51.100.9:1")
	sdk.transport = "ngrok/2"
	first, second, other := w.connect(link.Hello{Token: "alpha"}), w.connectAs(sdk, link.Hello{Token: "alpha"}), w.connect(link.Hello{Token: "beta"})
	first.bind(t, request(t, "https://a.example.com"))
	bound := second.bind(t, request(t, "https://b.example.com"))
	w.CredentialRevoked("cr_alpha")
	if w.reachable("a.example.com", true) || w.reachable("b.example.com", true) {
		t.Error("what is revoked is still reachable")
	}
	// ngrok's wire ends without a word; its endpoints do not.
	if told := second.told(); len(told) != 1 || !postern.HasCode(told[bound.ID], postern.CodeCredentialRevoked) || len(first.told()) != 0 {
		t.Errorf("the SDK was told %v, our own agent %v", told, first.told())
	}
	for _, c := range []*connected{first, second} {
		if cause := c.Cause(); cause == nil || cause.Code != postern.CodeCredentialRevoked {
			t.Errorf("a session of the revoked credential ended with %v", cause)
		}
	}
	if other.Cause() != nil {
		t.Error("another credential's session ended")
	}
	// One that was authenticated just before the revocation does not slip in.
	_, _, err := w.Admit(t.Context(), newAgent("198.51.100.7:1"), link.Hello{Token: "alpha"})
	if !postern.HasCode(err, postern.CodeCredentialRevoked) {
		t.Errorf("admitted after the revocation: %v", err)
	}
}

// B5-19: a store that is down ends no session and prevents none.
func TestEventsDoNotGateSessions(t *testing.T) {
	w := newWorld(t)
	w.service.down = true
	c := w.connect(link.Hello{Token: "alpha"})
	c.Release(nil)
	c.Release(nil) // only the first counts
	if got := fmt.Sprint(w.service.events); got != "[started cr_alpha stopped cr_alpha]" {
		t.Errorf("events %s", got)
	}
}
