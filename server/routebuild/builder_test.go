package routebuild_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/route"
	"github.com/postern-dev/postern/server/routebuild"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

var _ routebuild.Source = (*cluster.Local)(nil)

// source is a list of routes that counts how often it is read.
type source struct {
	mu      sync.Mutex
	routes  []*route.Route
	changed chan struct{}
	reads   atomic.Int64
	slow    time.Duration // a read takes so long
}

func newSource() *source { return &source{changed: make(chan struct{})} }

func (s *source) Owners() []*route.Route {
	s.reads.Add(1)
	s.mu.Lock()
	routes := append([]*route.Route(nil), s.routes...)
	s.mu.Unlock()
	time.Sleep(s.slow)
	return routes
}

func (s *source) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *source) add(host postern.Hostname) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.routes = append(s.routes, &route.Route{URL: postern.URL{Scheme: postern.HTTPS, Host: host}, Owner: nobody{}})
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *source) removeLast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.routes = s.routes[:len(s.routes)-1]
	close(s.changed)
	s.changed = make(chan struct{})
}

type nobody struct{}

func (nobody) Pick(func(route.Member) bool) (route.Member, error) {
	return nil, &postern.Error{Code: postern.CodeEndpointOffline}
}

func builder(t testing.TB, s routebuild.Source, change func(*routebuild.Config)) (*routebuild.Builder, *route.Current) {
	current := new(route.Current)
	c := routebuild.Config{Source: s, Current: current, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&c)
	}
	return routebuild.New(c), current
}

func TestSyncShowsWhatWasThereBefore(t *testing.T) {
	s := newSource()
	b, current := builder(t, s, nil)
	for i := range 10 {
		host := postern.Hostname(fmt.Sprintf("n%d.example", i))
		s.add(host)
		if err := b.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if current.Load().HTTP(host, true) == nil {
			t.Fatalf("%s is not in the table", host)
		}
	}
}

// However many sync at once, few tables are made, and each caller sees its own.
func TestSyncIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource()
		s.slow = time.Second
		b, current := builder(t, s, nil)
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				host := postern.Hostname(fmt.Sprintf("n%d.example", i))
				s.add(host)
				if err := b.Sync(t.Context()); err != nil {
					t.Error(err)
				}
				if current.Load().HTTP(host, true) == nil {
					t.Errorf("%s is not in the table", host)
				}
			})
		}
		all.Wait()
		if n := s.reads.Load(); n > 3 {
			t.Errorf("%d tables for 1000 binds within a second", n)
		}
	})
}

// B5-30: what cannot be right is refused, and the last good table stays.
func TestSyncKeepsTheLastGoodTable(t *testing.T) {
	s := newSource()
	b, current := builder(t, s, func(c *routebuild.Config) { c.MaxRoutes = 2 })
	s.add("a.example")
	if err := b.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := current.Load()
	s.add("a.example") // twice the same
	if err := b.Sync(t.Context()); err == nil || current.Load() != good {
		t.Fatalf("duplicate: %v, replaced %t", err, current.Load() != good)
	}
	s.removeLast()
	s.add("b.example")
	s.add("c.example") // one too many
	if err := b.Sync(t.Context()); err == nil || current.Load() != good {
		t.Fatalf("too many: %v, replaced %t", err, current.Load() != good)
	}
	s.removeLast()
	if err := b.Sync(t.Context()); err != nil || current.Load().Len() != 2 {
		t.Fatalf("good again: %v, %d routes", err, current.Load().Len())
	}
}

// B5-30: ten times the routes that are believed are refused before anything is made of
// them; the last good table serves on, and a good one follows it.
func TestTenTimesTheRoutes(t *testing.T) {
	const believed = 10_000
	s := newSource()
	b, current := builder(t, s, func(c *routebuild.Config) { c.MaxRoutes = believed })
	routes := make([]*route.Route, 10*believed)
	for i := range routes {
		host := postern.Hostname(fmt.Sprintf("n%d.example", i))
		routes[i] = &route.Route{URL: postern.URL{Scheme: postern.HTTPS, Host: host}, Owner: nobody{}}
	}
	put := func(n int) { s.routes = routes[:n] }
	put(believed)
	if err := b.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := current.Load()
	put(len(routes))
	if err := b.Sync(t.Context()); !postern.HasCode(err, postern.CodeInternal) || current.Load() != good {
		t.Fatalf("%v, replaced %t", err, current.Load() != good)
	}
	if n := testing.AllocsPerRun(3, func() { _ = b.Sync(t.Context()) }); n > 100 { // a table takes several hundred, and megabytes
		t.Errorf("the refusal takes %v allocations", n)
	}
	if good.HTTP("n9999.example", true) == nil || good.HTTP("n10000.example", true) != nil {
		t.Error("the last good table is another")
	}
	put(believed - 1)
	if err := b.Sync(t.Context()); err != nil || current.Load().Len() != believed-1 {
		t.Errorf("good again: %v, %d routes", err, current.Load().Len())
	}
}

func TestSyncEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource()
		s.slow = time.Minute
		b, _ := builder(t, s, nil)
		var all sync.WaitGroup
		all.Go(func() { _ = b.Sync(t.Context()) }) // under way
		synctest.Wait()
		all.Go(func() { _ = b.Sync(t.Context()) }) // leads the next
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		started := time.Now()
		if err := b.Sync(ctx); !postern.HasCode(err, postern.CodeServerBusy) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(started); took != time.Second {
			t.Errorf("waited %s", took)
		}
		all.Wait()
	})
}

func TestRunFollowsChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource()
		b, current := builder(t, s, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if err := b.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		s.add("a.example")
		synctest.Wait()
		if current.Load().HTTP("a.example", true) == nil {
			t.Error("a new endpoint is not in the table")
		}
		s.removeLast() // as when a session dies
		synctest.Wait()
		if current.Load().HTTP("a.example", true) != nil {
			t.Error("a dead endpoint is still in the table")
		}
		// A change that nobody told of is found by the timer.
		s.mu.Lock()
		s.routes = append(s.routes, &route.Route{URL: postern.URL{Scheme: postern.HTTP, Host: "b.example"}, Owner: nobody{}})
		s.mu.Unlock()
		time.Sleep(11 * time.Second)
		if current.Load().HTTP("b.example", false) == nil {
			t.Error("the timer did not find what changed")
		}
		// A Sync that saw a change leaves nothing for Run to do.
		synctest.Wait()
		before := s.reads.Load()
		s.add("c.example")
		synctest.Wait()
		if n := s.reads.Load() - before; n != 1 {
			t.Errorf("%d tables for one change", n)
		}
		cancel()
		all.Wait()
	})
}
