package cluster_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/route"
)

func TestRegisterAndRelease(t *testing.T) {
	l, s := cluster.New(), newSession(t)
	changed := l.Changed()
	release := register(t, l, live(1, https("a.example"), s, nil))
	select {
	case <-changed:
	default:
		t.Error("Changed did not tell")
	}
	if e := l.Endpoints(); len(e) != 1 || e[0].ID != "ep_0001" {
		t.Fatalf("online: %v", e)
	}
	owners := l.Owners()
	if len(owners) != 1 || owners[0].URL != https("a.example") || owners[0].Account != "ac_1" {
		t.Fatalf("owners: %+v", owners)
	}
	m, err := owners[0].Owner.Pick(nil)
	if err != nil || m.ID() != "ep_0001" {
		t.Fatalf("picked %v, %v", m, err)
	}
	if _, err := m.Open(t.Context(), link.Header{Endpoint: "forged"}, nil); err != nil || s.opened[0].Endpoint != "bind-1" {
		t.Fatalf("opened as %v, %v", s.opened, err)
	}

	// Releasing twice, from anywhere, releases once: a second endpoint of the same id
	// or URL that came since stays.
	release()
	select {
	case <-m.Done():
	default:
		t.Error("the member is not done")
	}
	again := register(t, l, live(1, https("a.example"), s, nil))
	release()
	if len(l.Endpoints()) != 1 {
		t.Fatal("an old release took a new endpoint offline")
	}
	again()
	if len(l.Endpoints()) != 0 || len(l.Owners()) != 0 {
		t.Fatal("something is left")
	}
	if _, err := owners[0].Owner.Pick(nil); !postern.HasCode(err, postern.CodeEndpointOffline) {
		t.Fatalf("an owner without members: %v", err)
	}
}

func TestRegisterConflicts(t *testing.T) {
	first := func(*postern.Endpoint) {}
	cases := map[string]struct {
		first, second func(*postern.Endpoint)
		message       string // of the refusal; "" is accepted
	}{
		"both pool":          {first, func(*postern.Endpoint) {}, ""},
		"the new one not":    {first, func(e *postern.Endpoint) { e.Pooling = false }, "start every agent with pooling"},
		"the old one not":    {func(e *postern.Endpoint) { e.Pooling = false }, func(*postern.Endpoint) {}, "was started without pooling"},
		"another account":    {first, func(e *postern.Endpoint) { e.Account = "ac_2" }, "is already online"},
		"another scheme":     {first, func(e *postern.Endpoint) { e.URL.Scheme = postern.TLS }, "same name"},
		"http beside https":  {first, func(e *postern.Endpoint) { e.URL.Scheme = postern.HTTP; e.Pooling = false }, ""},
		"another name":       {first, func(e *postern.Endpoint) { e.URL.Host = "b.example"; e.Pooling = false }, ""},
		"wildcard above":     {first, func(e *postern.Endpoint) { e.URL.Host = "*.example"; e.Pooling = false }, ""},
		"other termination":  {first, func(e *postern.Endpoint) { e.Options.Termination = postern.AtEdge }, "another TLS termination"},
		"other certificate":  {first, func(e *postern.Endpoint) { e.Options.CertificatePEM = "x" }, "another TLS certificate"},
		"other key":          {first, func(e *postern.Endpoint) { e.Options.KeyPEM = "x" }, "another TLS key"},
		"other host headers": {first, func(e *postern.Endpoint) { e.Options.HostHeader = "x" }, ""},
	}
	for what, c := range cases {
		l, s := cluster.New(), newSession(t)
		held := live(1, https("a.example"), s, c.first)
		register(t, l, held)
		_, err := l.Register(live(2, https("a.example"), newSession(t), c.second))
		if c.message == "" {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		var conflict *cluster.Conflict
		if !errors.As(err, &conflict) || !postern.HasCode(err, postern.CodeAlreadyOnline) || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if holders := conflict.Holders(); len(holders) != 1 || holders[0].Session != s || holders[0].BindID != "bind-1" {
			t.Errorf("%s: holders %+v", what, holders)
		}
		if strings.Contains(postern.AsError(err).Text(), "ac_1") {
			t.Errorf("%s: the message names the other account: %v", what, err)
		}
	}
}

func TestPortsConflictByNumber(t *testing.T) {
	l, s := cluster.New(), newSession(t)
	a := postern.URL{Scheme: postern.TCP, Host: "tcp.example.com", Port: 20001}
	b := postern.URL{Scheme: postern.TCP, Host: "other.example.com", Port: 20001}
	register(t, l, live(1, a, s, nil))
	if _, err := l.Register(live(2, b, s, nil)); !postern.HasCode(err, postern.CodeAlreadyOnline) {
		t.Fatalf("one port twice: %v", err)
	}
	if holders := l.Holders(b); len(holders) != 1 || holders[0].Endpoint.URL != a {
		t.Fatalf("holders of the port: %v", holders)
	}
	b.Port++
	register(t, l, live(3, b, s, nil))
}

// B5-1: what a session has online ends with it.
func TestSessionsEndTakesEverythingOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, dies, lives := cluster.New(), newSession(t), newSession(t)
		for i := range 5 {
			register(t, l, live(i, https(postern.Hostname(fmt.Sprintf("n%d.example", i))), dies, nil))
		}
		release := register(t, l, live(5, https("n5.example"), dies, nil))
		release()
		register(t, l, live(6, https("n0.example"), lives, nil)) // shares a pool
		if n := len(l.Endpoints()); n != 6 {
			t.Fatalf("%d are online", n)
		}
		dies.end()
		synctest.Wait()
		if e := l.Endpoints(); len(e) != 1 || e[0].ID != "ep_0006" {
			t.Fatalf("left: %v", e)
		}
		if m, err := l.Owners()[0].Owner.Pick(nil); err != nil || m.ID() != "ep_0006" {
			t.Fatalf("picked %v, %v", m, err)
		}
		if _, err := l.Register(live(7, https("x.example"), dies, nil)); !postern.HasCode(err, postern.CodeLinkLost) {
			t.Fatalf("register on a dead session: %v", err)
		}
	})
}

func TestUpdateChangesWhatMayChange(t *testing.T) {
	l := cluster.New()
	register(t, l, live(1, https("a.example"), newSession(t), nil))
	err := l.Update("ep_0001", func(e *postern.Endpoint) {
		e.Name, e.Metadata, e.Pooling = "new", "m", false
		e.URL.Host, e.Account = "stolen.example", "ac_2"
	})
	got, ok := l.Find("ep_0001")
	if err != nil || !ok || got.Endpoint.Name != "new" || got.Endpoint.Metadata != "m" || got.Endpoint.Pooling {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Endpoint.URL != https("a.example") || got.Endpoint.Account != "ac_1" {
		t.Fatalf("changed what must not: %+v", got.Endpoint)
	}
	if err := l.Update("ep_none", func(*postern.Endpoint) {}); !postern.HasCode(err, postern.CodeEndpointUnknown) {
		t.Fatalf("unknown endpoint: %v", err)
	}
	if _, ok := l.Find("ep_none"); ok {
		t.Fatal("found what is not there")
	}
}

// What goes offline is remembered for those who wait for its return, unless it went on
// purpose; a pool is gone with its last member.
func TestLocalRemembersWhatWasLost(t *testing.T) {
	l := cluster.New()
	one, other := newSession(t), newSession(t)
	register(t, l, live(1, https("a.example"), one, nil))
	release := register(t, l, live(2, https("a.example"), other, nil))
	release()
	if !l.Recent().HTTP("a.example", true).IsZero() {
		t.Fatal("lost while a member is left")
	}
	changed := l.Changed()
	one.end()
	<-changed
	if l.Recent().HTTP("a.example", true).IsZero() {
		t.Fatal("nobody knows that it was lost")
	}
	l.Forget(https("a.example"))
	if !l.Recent().HTTP("a.example", true).IsZero() {
		t.Fatal("nobody knows that it went on purpose")
	}
}

// An agent that goes over from one process to another is there twice for a while: its
// newer session has the address, whichever of the two is heard of first.
func TestLocalFollowsAnAgentToAnotherProcess(t *testing.T) {
	of := func(id int, s link.Session, borrowed bool, since time.Duration) cluster.Live {
		one := live(id, https("a.example"), s, func(e *postern.Endpoint) { e.Pooling = false })
		one.Client, one.Since, one.Borrowed = "client/0", since, borrowed
		return one
	}
	l := cluster.New()
	old, fresh := newSession(t), newSession(t)
	routeBefore := func() route.Owner { return l.Owners()[0].Owner }
	register(t, l, of(1, old, true, 0))
	owner := routeBefore()
	register(t, l, of(2, fresh, false, time.Second)) // it has come to us
	if owner != routeBefore() || pick(t, owner).ID() != "ep_0002" || len(l.Endpoints()) != 1 {
		t.Fatalf("%v", l.Endpoints())
	}
	if !l.Recent().HTTP("a.example", true).IsZero() {
		t.Fatal("the address was without anybody for a moment")
	}
	if _, err := l.Register(of(3, old, true, 0)); !postern.HasCode(err, postern.CodeLinkDraining) {
		t.Fatalf("its former session came late: %v", err)
	}
	next := newSession(t)
	register(t, l, of(4, next, true, 2*time.Second)) // and has gone on to another process
	if lives := l.Holders(https("a.example")); len(lives) != 1 || !lives[0].Borrowed || len(l.Lent()) != 0 {
		t.Fatalf("%+v", lives)
	}
	stranger := of(5, newSession(t), false, 3*time.Second)
	stranger.Client = "another/0"
	var conflict *cluster.Conflict
	if _, err := l.Register(stranger); !errors.As(err, &conflict) {
		t.Fatalf("another agent took it: %v", err)
	}
	// With other options the route is another one.
	changed := of(6, newSession(t), false, 3*time.Second)
	changed.Endpoint.URL.Scheme = postern.TLS
	register(t, l, changed)
	if lives := l.Lent(); len(lives) != 1 || len(l.Owners()) != 1 || l.Owners()[0].URL.Scheme != postern.TLS {
		t.Fatalf("%+v", lives)
	}
}

// Everything at once, for the race detector; and in the end nothing is left.
func TestLocalConcurrently(t *testing.T) {
	l := cluster.New()
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			s := newSession(t)
			for i := range 50 {
				release, err := l.Register(live(g*1000+i, https(postern.Hostname(fmt.Sprintf("n%d.example", i%7))), s, nil))
				if err != nil {
					t.Error(err)
					return
				}
				for _, r := range l.Owners() {
					if m, err := r.Owner.Pick(nil); err == nil {
						m.Begin()(i%3 == 0)
					}
				}
				_ = l.Update(postern.EndpointID(fmt.Sprintf("ep_%04d", i)), func(e *postern.Endpoint) { e.Name = "x" })
				if i%2 == 0 {
					go release()
				}
			}
			s.end()
		})
	}
	all.Wait()
	for {
		changed := l.Changed()
		if len(l.Endpoints()) == 0 {
			return
		}
		<-changed
	}
}
