package control_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/control"
)

// limited is a credential of the account one with these rules.
func limited(t testing.TB, id postern.CredentialID, rules ...string) postern.Credential {
	t.Helper()
	acl, err := postern.ParseACL(rules)
	if err != nil {
		t.Fatal(err)
	}
	return postern.Credential{ID: id, Account: "ac_one", ACL: acl}
}

// narrow changes the credential of a token where it is stored, and tells control.
func (w *world) narrow(token postern.Secret, rules ...string) {
	w.t.Helper()
	w.service.mu.Lock()
	changed := limited(w.t, w.service.credentials[token].ID, rules...)
	w.service.credentials[token] = changed
	w.service.mu.Unlock()
	w.CredentialChanged(changed)
}

func (a *agent) told() map[string]*postern.Error {
	a.mu.Lock()
	defer a.mu.Unlock()
	told := make(map[string]*postern.Error)
	for i, id := range a.stopped {
		told[id] = a.reasons[i]
	}
	return told
}

func TestACLAtBind(t *testing.T) {
	for _, test := range []struct {
		rules []string
		url   string
		code  postern.Code // "" where it is allowed
	}{
		{[]string{"bind:*.customer1.example.com"}, "https://app.customer1.example.com", ""},
		{[]string{"bind:*.customer1.example.com"}, "http://app.customer1.example.com", ""},
		{[]string{"bind:*.customer1.example.com"}, "tls://a.b.customer1.example.com", ""},
		{[]string{"bind:*.customer1.example.com"}, "https://*.customer1.example.com", ""},
		{[]string{"bind:*.customer1.example.com"}, "https://customer1.example.com", postern.CodeNameNotAllowed},
		{[]string{"bind:*.customer1.example.com"}, "https://evil.example.com", postern.CodeNameNotAllowed},
		{[]string{"bind:*.customer1.example.com"}, "https://xcustomer1.example.com", postern.CodeNameNotAllowed},
		{[]string{"bind:*.customer1.example.com"}, "https://", postern.CodeNameNotAllowed},
		{[]string{"bind:*.customer1.example.com"}, "tcp://", postern.CodeRandomPortNotAllowed},
		{[]string{"bind:*.customer1.example.com"}, "tcp://:20003", postern.CodeAddressNotAllowed},
		{[]string{"bind:tcp.example.com:20003"}, "tcp://:20003", ""},
		{[]string{"bind:tcp.example.com:20003"}, "tcp://:20004", postern.CodeAddressNotAllowed},
		{[]string{"bind:tcp.example.com:20000"}, "tcp://", postern.CodeRandomPortNotAllowed},
		{[]string{"bind:*.example.com"}, "https://", ""},
		{[]string{"bind:*"}, "tcp://", ""},
		{[]string{"access:*:*"}, "https://", postern.CodeNameNotAllowed},
		{[]string{"access:*:*"}, "https://a.example.com", postern.CodeNameNotAllowed},
	} {
		w := newWorld(t)
		w.service.credentials["alpha"] = limited(t, "cr_alpha", test.rules...)
		c := w.connect(link.Hello{Token: "alpha"})
		if test.code == "" {
			c.bind(t, request(t, test.url))
			continue
		}
		c.refuse(t, request(t, test.url), test.code)
		if len(w.service.names)+len(w.service.ports) != 0 && test.url != "https://" {
			t.Errorf("%s was refused and is reserved", test.url)
		}
	}
}

func TestACLOfLabels(t *testing.T) {
	w := newWorld(t)
	w.service.credentials["alpha"] = limited(t, "cr_alpha", "bind:app=*")
	c := w.connect(link.Hello{Token: "alpha"})
	if _, err := c.BindLabels(t.Context(), "", map[string]string{"env": "x"}); !postern.HasCode(err, postern.CodeLabelNotAllowed) {
		t.Errorf("a label that is not allowed: %v", err)
	}
	if _, err := c.BindLabels(t.Context(), "", map[string]string{"app": "x"}); !postern.HasCode(err, postern.CodeOptionUnsupported) {
		t.Errorf("a label that is allowed: %v", err)
	}
}

// A narrowed credential loses just what it no longer covers, in every session, and its
// agents are told why.
func TestNarrowedCredential(t *testing.T) {
	w := newWorld(t, func(c *control.Config) { c.Limits.SessionsPerAccount = 4 })
	first, second, other := w.connect(link.Hello{Token: "alpha"}), w.connect(link.Hello{Token: "alpha"}), w.connect(link.Hello{Token: "beta"})
	stays, goes := first.bind(t, request(t, "https://a.c1.example.com")), first.bind(t, request(t, "https://b.example.com"))
	port := second.bind(t, request(t, "tcp://"))
	theirs := other.bind(t, request(t, "https://c.example.com"))

	w.narrow("alpha", "bind:*.c1.example.com")
	if w.reachable("b.example.com", true) || w.ports.opened(port.URL.Port) {
		t.Error("what is not covered is still reachable")
	}
	if !w.reachable("a.c1.example.com", true) || !w.reachable("c.example.com", true) {
		t.Error("too much went offline")
	}
	if first.Cause() != nil || second.Cause() != nil || other.Cause() != nil {
		t.Error("a session ended")
	}
	first.refuse(t, request(t, "https://b.example.com"), postern.CodeNameNotAllowed)
	first.bind(t, request(t, "https://d.c1.example.com"))

	// A session that only begins obeys, too.
	late := w.connect(link.Hello{Token: "alpha"})
	late.refuse(t, request(t, "https://b.example.com"), postern.CodeNameNotAllowed)

	// And a wider one is good for sessions that live.
	w.narrow("alpha", "bind:*.c1.example.com", "bind:b.example.com")
	first.bind(t, request(t, "https://b.example.com"))
	if !w.reachable("a.c1.example.com", true) {
		t.Error("widening took something offline")
	}

	w.Close(over()) // returns when the agents were told
	if told := first.told(); len(told) != 1 || !postern.HasCode(told[goes.ID], postern.CodeNameNotAllowed) {
		t.Errorf("the first was told %v, want of %s alone", told, goes.ID)
	}
	if told := second.told(); len(told) != 1 || !postern.HasCode(told[port.ID], postern.CodeAddressNotAllowed) {
		t.Errorf("the second was told %v", told)
	}
	if told := other.told(); len(told) != 0 {
		t.Errorf("another credential's agent was told %v", told)
	}
	_, _ = stays, theirs
}

// Agents that do not answer hold nothing up: the endpoints are offline when the call
// returns, whatever becomes of the word to the agent.
func TestNarrowingDoesNotWaitForAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stuck := newAgent("198.51.100.8:1")
		stuck.deaf = true
		c := w.connectAs(stuck, link.Hello{Token: "alpha"})
		c.bind(t, request(t, "https://b.example.com"))
		started := time.Now()
		w.narrow("alpha", "bind:a.example.com")
		if took := time.Since(started); took != 0 || w.reachable("b.example.com", true) {
			t.Errorf("narrowing took %v", took)
		}
		w.narrow("alpha", "bind:a.example.com", "access:*:*")
		w.Close(over())
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("the word to the agent took %v", took)
		}
	})
}

// What was authenticated before a change, and is admitted after it, obeys the change.
func TestChangeAgainstAdmissionUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.service.delay = make(chan struct{})
		type outcome struct {
			binder link.Binder
			err    error
		}
		admitted := make(chan outcome)
		go func() {
			binder, _, err := w.Admit(t.Context(), newAgent("198.51.100.7:1"), link.Hello{Token: "alpha"})
			admitted <- outcome{binder, err}
		}()
		synctest.Wait() // the store has been asked, and has answered with what was
		w.narrow("alpha", "bind:a.example.com")
		close(w.service.delay)
		got := <-admitted
		if got.err != nil {
			t.Fatal(got.err)
		}
		defer got.binder.Release(nil)
		if _, err := got.binder.Bind(t.Context(), request(t, "https://b.example.com")); !postern.HasCode(err, postern.CodeNameNotAllowed) {
			t.Errorf("bound by the ACL that was: %v", err)
		}
		// Whoever authenticates later than the change gets what the store has.
		w.service.delay = nil
		time.Sleep(time.Second)
		w.service.credentials["alpha"] = limited(t, "cr_alpha")
		w.connect(link.Hello{Token: "alpha"}).bind(t, request(t, "https://b.example.com"))
	})
}

// Whatever the order in which binds and changes meet, nothing is online in the end that
// the last ACL does not cover.
func TestChangesAgainstBindsUnderWay(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	for range 60 {
		w.narrow("alpha")
		var race sync.WaitGroup
		race.Go(func() { _, _ = c.Bind(t.Context(), request(t, "https://a.example.com")) })
		race.Go(func() { _, _ = c.Bind(t.Context(), request(t, "tcp://:20001")) })
		race.Go(func() { w.narrow("alpha", "bind:c.example.com") })
		race.Wait()
		if w.reachable("a.example.com", true) || w.ports.opened(20001) {
			t.Fatal("something is online that the ACL does not cover")
		}
		if live := w.Sessions(); len(live) != 1 || len(live[0].Endpoints) != 0 {
			t.Fatalf("the session has %+v", live)
		}
	}
}

func TestCredentialsOfSessions(t *testing.T) {
	w := newWorld(t)
	w.connect(link.Hello{Token: "beta"})
	w.connect(link.Hello{Token: "alpha"})
	w.connect(link.Hello{Token: "alpha"})
	if got, want := w.Credentials(), []postern.CredentialID{"cr_alpha", "cr_beta"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Whoever authenticated before the suspension is not let in, whoever does later is.
func TestSuspendedCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.connect(link.Hello{Token: "alpha"})
		other := w.connect(link.Hello{Token: "beta"})
		c.bind(t, request(t, "https://a.example.com"))
		w.CredentialSuspended("cr_alpha")
		<-c.Done()
		if cause := c.Cause(); !postern.HasCode(cause, postern.CodeOwnerInactive) {
			t.Errorf("the agent was told %v", cause)
		}
		if w.reachable("a.example.com", true) || len(w.Sessions()) != 1 || other.Cause() != nil {
			t.Errorf("online are %+v", w.Sessions())
		}
		time.Sleep(time.Second)
		w.connect(link.Hello{Token: "alpha"})
	})
}

func over() *postern.Error { return postern.Errorf(postern.CodeLinkLost, "the test is over") }
