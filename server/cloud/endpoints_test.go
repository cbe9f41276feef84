package cloud_test

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/cloud"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// ports notes which are open.
type ports struct {
	open map[uint16]bool
	busy bool
}

func (p *ports) OpenPort(_ postern.Scheme, port uint16) error {
	if p.busy {
		return postern.Errorf(postern.CodePortUnavailable, "busy")
	}
	if p.open[port] {
		return errors.New("opened twice")
	}
	p.open[port] = true
	return nil
}

func (p *ports) ClosePort(_ postern.Scheme, port uint16, _ bool) { delete(p.open, port) }

// compile makes a policy that has the text as a comment.
func compile(e cloud.Endpoint) (*policy.Program, error) {
	text := "on_tcp_connect: [{actions: [{type: close-connection}]}]\n# " + e.Policy
	return policy.Compile(text, policy.Target{Scheme: e.URL.Scheme})
}

func newEndpoints() (*cloud.Endpoints, *ports) {
	p := &ports{open: map[uint16]bool{}}
	return cloud.New(cloud.Config{Ports: p, Meters: quota.New(), Logger: slog.New(slog.DiscardHandler), Compile: compile}), p
}

func endpoint(id, url, policy string) cloud.Endpoint {
	asked, err := postern.ParseURLRequest(url, "")
	if err != nil {
		panic(err)
	}
	u := postern.URL{Scheme: asked.Scheme, Host: asked.Host, Port: asked.Port}
	if u.Host.Internal() {
		u = u.Within("ac_1")
	}
	return cloud.Endpoint{ID: postern.EndpointID(id), Account: "ac_1", URL: u, Policy: policy}
}

func routes(e *cloud.Endpoints) map[string]*route.Route {
	all := make(map[string]*route.Route)
	for _, r := range e.Owners() {
		all[r.URL.String()] = r
	}
	return all
}

func told(changed <-chan struct{}) bool {
	select {
	case <-changed:
		return true
	default:
		return false
	}
}

func picked(t *testing.T, r *route.Route) route.Member {
	t.Helper()
	m, err := r.Owner.Pick(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func gone(m route.Member) bool { return told(m.Done()) }

// What has not changed stays: the route, and the member with all that its policy knows.
func TestSetKeepsWhatHasNotChanged(t *testing.T) {
	e, _ := newEndpoints()
	one, two := endpoint("ep_1", "https://a.example", "p1"), endpoint("ep_2", "https://api.internal", "p2")
	changed := e.Changed()
	e.Set([]cloud.Endpoint{one, two})
	if !told(changed) {
		t.Fatal("nobody is told of new endpoints")
	}
	before := routes(e)
	a, b := picked(t, before["https://a.example"]), picked(t, before["https://api.internal"])
	changed = e.Changed()
	e.Set([]cloud.Endpoint{two, one})
	if told(changed) || !maps.Equal(routes(e), before) {
		t.Error("the same again is a change")
	}
	one.Policy = "another"
	e.Set([]cloud.Endpoint{one, two})
	after := routes(e)
	if !told(changed) || !gone(a) || after["https://a.example"] == before["https://a.example"] {
		t.Error("another policy is no change")
	}
	if gone(b) || after["https://api.internal"] != before["https://api.internal"] {
		t.Error("an endpoint changed with its neighbour")
	}
	changed = e.Changed()
	e.Set([]cloud.Endpoint{one})
	if !told(changed) || !gone(b) || len(e.Owners()) != 1 {
		t.Error("an endpoint that was deleted is there")
	}
}

func TestPoolTakesTurns(t *testing.T) {
	e, _ := newEndpoints()
	var all []cloud.Endpoint
	for _, id := range []string{"ep_1", "ep_2", "ep_3"} {
		one := endpoint(id, "https://a.example", "p")
		one.Pooling = true
		all = append(all, one)
	}
	alone := endpoint("ep_0", "https://b.example", "p")
	e.Set(append(all, alone, endpoint("ep_9", "https://b.example", "p")))
	r := routes(e)["https://a.example"]
	met := map[postern.EndpointID]int{}
	for range 30 {
		met[picked(t, r).ID()]++
	}
	if met["ep_1"] != 10 || met["ep_2"] != 10 || met["ep_3"] != 10 {
		t.Errorf("turns: %v", met)
	}
	var tried []route.Member
	for range 3 {
		m, err := r.Owner.Pick(func(m route.Member) bool { return slices.Contains(tried, m) })
		if err != nil {
			t.Fatal(err)
		}
		tried = append(tried, m)
	}
	if _, err := r.Owner.Pick(func(m route.Member) bool { return slices.Contains(tried, m) }); !postern.HasCode(err, postern.CodeEndpointOffline) {
		t.Errorf("a fourth member: %v", err)
	}
	if m := picked(t, routes(e)["https://b.example"]); m.ID() != "ep_0" {
		t.Errorf("%s has the URL of an older one", m.ID())
	}
}

func TestPortsOfPublicEndpoints(t *testing.T) {
	e, p := newEndpoints()
	public, internal := endpoint("ep_1", "tcp://tcp.example:20001", "p"), endpoint("ep_2", "tcp://db.internal:5432", "p")
	p.busy = true
	e.Set([]cloud.Endpoint{public, internal})
	if len(p.open) > 0 {
		t.Fatal("a busy port is open")
	}
	p.busy = false
	e.Set([]cloud.Endpoint{public, internal}) // tried again
	if len(p.open) != 1 || !p.open[20001] {
		t.Errorf("open: %v", p.open)
	}
	public.Policy = "another"
	e.Set([]cloud.Endpoint{public, internal})
	if !p.open[20001] {
		t.Error("the port was closed by a change of the policy")
	}
	e.Set([]cloud.Endpoint{internal})
	if len(p.open) != 0 {
		t.Errorf("open in the end: %v", p.open)
	}
}

// What a policy lets pass is answered with a code: there is nothing behind it.
func TestNothingIsBehindAPolicy(t *testing.T) {
	e, _ := newEndpoints()
	e.Set([]cloud.Endpoint{endpoint("ep_1", "https://a.example", "p")})
	m := picked(t, routes(e)["https://a.example"])
	if _, err := m.Open(t.Context(), link.Header{}, nil); !postern.HasCode(err, postern.CodeCloudUnanswered) {
		t.Errorf("%v", err)
	}
	if !strings.HasSuffix(m.Policy().Text(), "# p") || len(routes(e)["https://a.example"].Policies) != 1 {
		t.Error("its policy is not to be had")
	}
	broken := endpoint("ep_2", "https://b.internal", "\nnonsense: 1")
	e.Set([]cloud.Endpoint{broken})
	m = picked(t, routes(e)["https://b.internal"])
	if _, err := m.Open(t.Context(), link.Header{}, nil); m.Policy() != nil || !postern.HasCode(err, postern.CodeCloudUnanswered) {
		t.Errorf("with a policy that cannot be used: %v", err)
	}
}
