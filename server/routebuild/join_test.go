package routebuild_test

import (
	"context"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/cloud"
	"github.com/postern-dev/postern/server/route"
	"github.com/postern-dev/postern/server/routebuild"
)

var _ routebuild.Source = (*cloud.Endpoints)(nil)

// of is an owner with a number of members, of which picks are counted.
type of struct {
	members, picks int
	offline        bool
}

func (o *of) Len() int { return o.members }

func (o *of) Pick(func(route.Member) bool) (route.Member, error) {
	o.picks++
	if o.offline {
		return nil, &postern.Error{Code: postern.CodeEndpointOffline}
	}
	return nil, nil
}

func web(account postern.AccountID, host postern.Hostname, o route.Owner) *route.Route {
	return &route.Route{URL: postern.URL{Scheme: postern.HTTPS, Host: host}, Account: account, Owner: o}
}

// An agent's endpoint and a cloud endpoint of one URL are one route, whose owners get
// turns as they have members; and the route stays while both do.
func TestAgentsAndCloudShareAURL(t *testing.T) {
	agents, clouds := newSource(), newSource()
	a, c := &of{members: 3}, &of{members: 1}
	agents.routes = []*route.Route{web("a", "shared.example", a), web("a", "agent.example", nobody{})}
	clouds.routes = []*route.Route{web("a", "shared.example", c), web("b", "cloud.example", nobody{})}
	b, current := builder(t, agents, func(config *routebuild.Config) { config.Cloud = clouds })
	if err := b.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	table := current.Load()
	if table.Len() != 3 || table.HTTP("agent.example", true) == nil || table.HTTP("cloud.example", true) == nil {
		t.Fatalf("%d routes", table.Len())
	}
	shared := table.HTTP("shared.example", true)
	for range 40 {
		if _, err := shared.Owner.Pick(nil); err != nil {
			t.Fatal(err)
		}
	}
	if a.picks != 30 || c.picks != 10 {
		t.Errorf("%d and %d turns", a.picks, c.picks)
	}
	c.offline = true
	if _, err := shared.Owner.Pick(nil); err != nil {
		t.Error(err)
	}
	if err := b.Sync(t.Context()); err != nil || current.Load().HTTP("shared.example", true) != shared {
		t.Errorf("the route is another one, %v", err)
	}
	agents.removeLast()
	agents.removeLast()
	if err := b.Sync(t.Context()); err != nil || current.Load().HTTP("shared.example", true) != clouds.routes[0] {
		t.Errorf("the cloud endpoint is not alone, %v", err)
	}
}

// Two that must not meet do not take the whole table down.
func TestAgentsEndpointCounts(t *testing.T) {
	agents, clouds := newSource(), newSource()
	agents.add("a.example")
	clouds.routes = []*route.Route{web("foreign", "a.example", nobody{}), web("a", "b.example", nobody{})}
	b, current := builder(t, agents, func(config *routebuild.Config) { config.Cloud = clouds })
	if err := b.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if table := current.Load(); table.Len() != 2 || table.HTTP("a.example", true) != agents.routes[0] {
		t.Errorf("%d routes", table.Len())
	}
}

// The table follows cloud endpoints as it follows agents.
func TestRunFollowsCloudEndpoints(t *testing.T) {
	agents, clouds := newSource(), newSource()
	b, current := builder(t, agents, func(config *routebuild.Config) { config.Cloud = clouds })
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- b.Run(ctx) }()
	changed := current.Changed()
	clouds.add("a.example")
	for current.Load().HTTP("a.example", true) == nil {
		<-changed
		changed = current.Changed()
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
