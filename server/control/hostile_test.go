package control_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/control"
)

// A flood that joins the queue before its first guess has failed is not heard
// through: who waits is judged again when its turn comes.
func TestFloodInTheQueueIsThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t) // two at once, 20 failures a minute
		w.service.delay = make(chan struct{})
		var attempts sync.WaitGroup
		for i := range 500 {
			attempts.Go(func() {
				_, _, err := w.Admit(t.Context(), newAgent("198.51.100.7:1"), link.Hello{Token: postern.Secret(fmt.Sprint("guess", i))})
				if err == nil {
					t.Error("a guess was admitted")
				}
			})
		}
		synctest.Wait()
		close(w.service.delay)
		attempts.Wait()
		if w.service.heard > 22 {
			t.Errorf("%d guesses were heard, want the limit of 20 and the two that were under way", w.service.heard)
		}
	})
}

// An agent that crashed and comes back without its cookie is not refused because its
// own half-open connection still counts.
func TestSessionLimitDoesNotCountTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *control.Config) { c.Limits.SessionsPerAccount = 2 })
		ghost := newAgent("198.51.100.7:4000")
		w.connectAs(ghost, link.Hello{Token: "alpha"}).bind(t, request(t, "https://app.example.com"))
		ghost.silent = true
		alive := w.connect(link.Hello{Token: "beta"})

		again := w.connect(link.Hello{Token: "alpha"})
		again.bind(t, request(t, "https://app.example.com"))
		if ghost.Cause() == nil || alive.Cause() != nil {
			t.Errorf("the ghost ended with %v, the living session with %v", ghost.Cause(), alive.Cause())
		}
		if sessions := w.Sessions(); len(sessions) != 2 {
			t.Errorf("%d sessions, want 2", len(sessions))
		}

		// Everybody lives: refused, and the living are left in peace for a while.
		refused := func() {
			t.Helper()
			_, _, err := w.Admit(t.Context(), newAgent("198.51.100.9:1"), link.Hello{Token: "alpha"})
			if !postern.HasCode(err, postern.CodeSessionLimit) {
				t.Fatalf("one session too many: %v", err)
			}
		}
		time.Sleep(10 * time.Second)
		refused()
		before := again.pinged()
		for range 50 {
			refused()
		}
		if pings := again.pinged() - before; pings != 0 {
			t.Errorf("knocking pinged the living %d times", pings)
		}
	})
}

// B2: whoever wants another account's address cannot make the server ask its holder
// anything, or cut him off, however silent he is.
func TestStrangersHolderIsNeitherPingedNorEvicted(t *testing.T) {
	w := newWorld(t)
	// The store gives the stranger the name and the port, as it might after a backup
	// was restored; only the registry knows that they are in use.
	holder := newAgent("198.51.100.7:4000")
	w.connectAs(holder, link.Hello{Token: "alpha"})
	holder.silent = true
	for i, u := range []postern.URL{
		{Scheme: postern.HTTPS, Host: "app.example.com"},
		{Scheme: postern.TCP, Host: "tcp.example.com", Port: 20000},
	} {
		id := postern.EndpointID(fmt.Sprintf("ep_%d", i))
		release, err := w.cluster.Register(cluster.Live{Endpoint: postern.Endpoint{ID: id, Account: "ac_one", URL: u}, Session: holder})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(release)
	}
	stranger := w.connect(link.Hello{Token: "gamma"})
	stranger.refuse(t, request(t, "https://app.example.com"), postern.CodeAlreadyOnline)
	stranger.refuse(t, request(t, "tcp://tcp.example.com:20000"), postern.CodeAlreadyOnline)
	if bound := stranger.bind(t, request(t, "tcp://")); bound.URL.Port == 20000 {
		t.Errorf("the stranger was given %v", bound.URL)
	}
	if holder.pinged() != 0 || holder.Cause() != nil {
		t.Errorf("the holder was pinged %d times and ended with %v", holder.pinged(), holder.Cause())
	}
}

// Two sessions that ask for one name at the same moment: one has it, whichever, and
// the other is told so.
func TestBindRace(t *testing.T) {
	w := newWorld(t)
	for round := range 20 {
		url := fmt.Sprintf("https://race-%d.example.com", round)
		var bound, refused int
		var mu sync.Mutex
		var binds sync.WaitGroup
		agents := []*connected{w.connect(link.Hello{Token: "alpha"}), w.connect(link.Hello{Token: "beta"})}
		for _, agent := range agents {
			binds.Go(func() {
				_, err := agent.Bind(t.Context(), request(t, url))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					bound++
				case postern.HasCode(err, postern.CodeAlreadyOnline):
					refused++
				default:
					t.Error(err)
				}
			})
		}
		binds.Wait()
		if bound != 1 || refused != 1 {
			t.Fatalf("%d bound, %d refused", bound, refused)
		}
		for _, agent := range agents {
			agent.Close(postern.Errorf(postern.CodeLinkLost, "the round is over"))
			agent.Release(nil)
		}
	}
}

// Agents that share one series of names find their places in it at the same moment:
// nobody gets another's, and the first few holders are not pinged by each of them.
func TestSearchersPassEachOther(t *testing.T) {
	w := newWorld(t, func(c *control.Config) { c.Limits.SessionsPerAccount = 1000 })
	agents := make([]*connected, 200)
	hosts := make([]postern.Hostname, len(agents))
	for i := range agents {
		agents[i] = w.connect(link.Hello{Token: "alpha"})
	}
	var binds sync.WaitGroup
	for i, agent := range agents {
		binds.Go(func() {
			bound, err := agent.Bind(t.Context(), request(t, "https://"))
			if err != nil {
				t.Error(err)
			}
			hosts[i] = bound.URL.Host
		})
	}
	binds.Wait()
	slices.Sort(hosts)
	if distinct := len(slices.Compact(hosts)); distinct != len(agents) {
		t.Errorf("%d agents have %d names", len(agents), distinct)
	}
	for i, agent := range agents {
		if pings := agent.pinged(); pings > len(agents)/10 {
			t.Errorf("agent %d was pinged %d times", i, pings)
		}
	}
}

// An agent that comes back into a pool without its cookie does not share it with its
// own ghost; other members are not asked anything.
func TestPoolIsRidOfGhosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		pooled := request(t, "https://app.example.com")
		pooled.Pooling = true
		ghost, other := newAgent("198.51.100.7:4000"), newAgent("203.0.113.9:4000")
		w.connectAs(ghost, link.Hello{Token: "alpha"}).bind(t, pooled)
		w.connectAs(other, link.Hello{Token: "alpha"}).bind(t, pooled)
		ghost.silent, other.silent = true, true
		again := w.connectAs(newAgent("198.51.100.7:4001"), link.Hello{Token: "alpha"})
		again.bind(t, pooled)
		if ghost.Cause() == nil {
			t.Error("the ghost is still in the pool")
		}
		if other.Cause() != nil || other.pinged() != 0 {
			t.Errorf("another member was pinged %d times and ended with %v", other.pinged(), other.Cause())
		}
		if online := w.cluster.Endpoints(); len(online) != 2 {
			t.Errorf("%d endpoints are online, want 2", len(online))
		}
	})
}

// A bug in the middle of an admission ends that session, and leaves no trace of it in
// the account's limits.
func TestPanicInAdmission(t *testing.T) {
	w := newWorld(t)
	panicking := control.New(func() control.Config {
		c := w.config
		c.Service = panicky{w.service}
		return c
	}())
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _, _ = panicking.Admit(t.Context(), newAgent("198.51.100.7:1"), link.Hello{Token: "alpha"})
	}()
	if left := panicking.Sessions(); len(left) != 0 {
		t.Errorf("%d sessions are left", len(left))
	}
}

type panicky struct{ *service }

func (panicky) SessionStarted(context.Context, postern.Session) error { panic("a bug") }
