package agent_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
)

// stops has the returned channel given the name of every endpoint that ends by itself.
func stops(a *agent.Agent) <-chan string {
	stopped := make(chan string, 16)
	a.Listen(agent.Events{Stopped: func(name string, _ *postern.Error) { stopped <- name }})
	return stopped
}

// An endpoint that was added and whose time is over leaves its name to a configuration.
func TestNameOfAnEndedEndpointIsFree(t *testing.T) {
	s := newServer(t)
	a := startWith(t, agent.Config{Server: s.addr, Roots: s.roots})
	a.connected(t)
	stopped := stops(a.Agent)
	brief := agent.Endpoint{Endpoint: web("web", "1001")}
	brief.TTL = 300 * time.Millisecond // longer than its being added takes
	if _, err := a.Add(t.Context(), brief); err != nil {
		t.Fatal(err)
	}
	<-stopped
	lasting := agent.Endpoint{Endpoint: web("web", "1002")}
	for len(a.Endpoints()) != 0 { // it is told before all of it is forgotten
		<-time.After(time.Millisecond)
	}
	removed(t, a.Agent)
	if err := a.Apply(t.Context(), []agent.Endpoint{lasting}); err != nil {
		t.Fatal(err)
	}
	if all := a.Endpoints(); len(all) != 1 || all[0].Config.Upstream != "1002" {
		t.Errorf("the configuration's endpoint is not there: %+v", all)
	}
}

// removed waits until every event so far has been told: they are told one at a time.
func removed(t *testing.T, a *agent.Agent) {
	t.Helper()
	told := make(chan struct{}, 1)
	a.Listen(agent.Events{Removed: func(_, label string) {
		if label == "last" {
			told <- struct{}{}
		}
	}})
	if _, err := a.Add(t.Context(), agent.Endpoint{Endpoint: web("last", "1")}); err != nil {
		t.Fatal(err)
	}
	if err := a.Remove(t.Context(), "last"); err != nil {
		t.Fatal(err)
	}
	<-told
}

// One of a configuration whose time is over does not come back because another was
// removed and the configuration is read again.
func TestEndedEndpointOfAConfigurationStaysAway(t *testing.T) {
	s := newServer(t)
	brief, other := agent.Endpoint{Endpoint: web("brief", "1001")}, both("other", "1002")
	brief.TTL = time.Millisecond
	a := startWith(t, agent.Config{Server: s.addr, Roots: s.roots})
	a.connected(t)
	stopped := stops(a.Agent)
	if err := a.Apply(t.Context(), []agent.Endpoint{brief, other}); err != nil {
		t.Fatal(err)
	}
	<-stopped
	removed(t, a.Agent)
	if err := a.RemoveLabel(t.Context(), "other (http)"); err != nil {
		t.Fatal(err)
	}
	if err := a.Apply(t.Context(), []agent.Endpoint{brief, other}); err != nil {
		t.Fatal(err)
	}
	if all := a.Endpoints(); len(all) != 1 || all[0].Label != "other" {
		t.Errorf("%+v", all)
	}
}

// Of several who want a name at once one gets it, and what is known of it is that one's.
// Those who remove something else meanwhile do not disturb it.
func TestNamesAreClaimedOnce(t *testing.T) {
	s := newServer(t)
	a := startWith(t, agent.Config{Server: s.addr, Roots: s.roots})
	a.connected(t)
	for round := range 20 {
		other := fmt.Sprintf("other%d", round)
		if _, err := a.Add(t.Context(), both(other, "1")); err != nil {
			t.Fatal(err)
		}
		var asked sync.WaitGroup
		asked.Go(func() { _ = a.RemoveLabel(t.Context(), other+" (http)") })
		won := make(chan string, 4)
		for i := range cap(won) {
			upstream := fmt.Sprint(2000 + i)
			asked.Go(func() {
				if _, err := a.Add(t.Context(), agent.Endpoint{Endpoint: web("wanted", upstream)}); err == nil {
					won <- upstream
				}
			})
		}
		asked.Wait()
		close(won)
		winner := <-won
		for _, e := range a.Endpoints() {
			if e.Label == "wanted" && e.Config.Upstream != winner {
				t.Errorf("round %d: the endpoint of %q is known as that of %q", round, winner, e.Config.Upstream)
			}
		}
		if more, also := <-won; also {
			t.Errorf("round %d: %q got the name as well", round, more)
		}
		if err := a.Remove(t.Context(), "wanted"); err != nil {
			t.Error(err)
		}
	}
}
