package control_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/control"
)

// modelled is one agent as the model sees it.
type modelled struct {
	name    string
	account postern.AccountID
	token   postern.Secret
	link    *agent
	link.Binder
	link.Welcome
	silent    bool
	endpoints map[string]held // by bind id
}

// held is one endpoint that the model has online.
type held struct {
	url     string
	pooling bool
	id      postern.EndpointID
}

// model is who should be connected and what should be reachable.
type model struct {
	*world
	agents []*modelled
	count  int
}

var (
	modelTokens = map[postern.Secret]postern.AccountID{"alpha": "ac_one", "beta": "ac_one", "gamma": "ac_two"}
	// No two of them differ only in the scheme: https and tls share names by design.
	modelURLs = []string{"https://a.example.com", "https://b.example.com", "https://*.c.example.com", "http://a.example.com",
		"tcp://tcp.example.com:20001", "tcp://tcp.example.com:20002"}
)

func (m *model) connect(t *rapid.T) {
	if len(m.agents) == 5 { // a pool looks for ghosts among four others at most
		return
	}
	token := rapid.SampledFrom(slices.Sorted(maps.Keys(modelTokens))).Draw(t, "token")
	m.admit(t, token, link.Hello{Token: token})
}

func (m *model) admit(t *rapid.T, token postern.Secret, hello link.Hello) {
	m.count++
	a := &modelled{name: fmt.Sprint("agent ", m.count), account: modelTokens[token], token: token,
		link: newAgent("198.51.100.7:4000"), endpoints: map[string]held{}}
	var err error
	if a.Binder, a.Welcome, err = m.Admit(m.t.Context(), a.link, hello); err != nil {
		t.Fatalf("Admit: %v", err)
	}
	m.agents = append(m.agents, a)
}

// some draws one of the connected agents, of which there is one at least.
func (m *model) some(t *rapid.T) *modelled {
	if len(m.agents) == 0 {
		m.connect(t)
	}
	return m.agents[rapid.IntRange(0, len(m.agents)-1).Draw(t, "agent")]
}

// gone takes an agent and all it had out of the model.
func (m *model) gone(a *modelled) {
	m.agents = slices.DeleteFunc(m.agents, func(other *modelled) bool { return other == a })
}

// crash ends the link; the wire tells control, now or twice.
func (m *model) crash(t *rapid.T) {
	a := m.some(t)
	a.link.Close(postern.Errorf(postern.CodeLinkLost, "cut"))
	for range rapid.IntRange(1, 3).Draw(t, "releases") {
		a.Release(a.link.Cause())
	}
	m.gone(a)
}

// comeBack presents id and cookie: the former session goes.
func (m *model) comeBack(t *rapid.T) {
	a := m.some(t)
	m.admit(t, a.token, link.Hello{Token: a.token, ClientID: a.ClientID, Cookie: a.Cookie})
	m.gone(a)
	if a.link.Cause() == nil {
		t.Fatalf("%s was replaced and its link lives", a.name)
	}
	a.Release(a.link.Cause()) // the wire's part comes late
}

// fallSilent makes an agent half-open: it answers nothing any more.
func (m *model) fallSilent(t *rapid.T) {
	a := m.some(t)
	a.silent = true
	a.link.mu.Lock()
	defer a.link.mu.Unlock()
	a.link.dead = true
}

// holders lists who has a URL online, by the model.
func (m *model) holders(url string) (holders []*modelled, pooling bool) {
	pooling = true
	for _, a := range m.agents {
		for _, e := range a.endpoints {
			if e.url == url {
				holders, pooling = append(holders, a), pooling && e.pooling
			}
		}
	}
	return holders, pooling
}

func (m *model) bind(t *rapid.T) {
	a := m.some(t)
	url := rapid.SampledFrom(modelURLs).Draw(t, "url")
	id := rapid.SampledFrom([]string{"1", "2", "3", ""}).Draw(t, "id")
	pooling := rapid.Bool().Draw(t, "pooling")
	r := request(m.t, url)
	r.ID, r.Pooling = id, pooling
	bound, err := a.Bind(m.t.Context(), r)

	want := postern.Code("")
	holders, shared := m.holders(url)
	_, taken := a.endpoints[id]
	asked := !taken && len(a.endpoints) < 4
	owner := m.owner(url)
	switch {
	case len(a.endpoints) >= 4:
		want = postern.CodeEndpointLimit
	case taken:
		want = postern.CodeBindInvalid
	case owner != "" && owner != a.account:
		want = postern.CodeNameReserved
		if r.URL.Scheme == postern.TCP {
			want = postern.CodePortUnavailable
		}
	case len(holders) > 0 && !(shared && pooling):
		want = postern.CodeAlreadyOnline
	}
	if asked && want == postern.CodeAlreadyOnline {
		// The silent among the holders are evicted one after the other until the rest,
		// which may be nobody, share or refuse.
		for _, holder := range holders {
			if holder != a && holder.silent {
				m.gone(holder)
			}
			if holders, shared = m.holders(url); len(holders) == 0 || shared && pooling {
				want = ""
				break
			}
		}
	}
	if want == "" != (err == nil) || err != nil && !postern.HasCode(err, want) {
		t.Fatalf("%s binds %s as %q, pooling %v: %v, want %q", a.name, url, id, pooling, err, want)
	}
	if err == nil && pooling { // who comes back is rid of its ghosts: all are on one machine here
		twins, _ := m.holders(url)
		for _, twin := range twins {
			if twin != a && twin.silent && twin.token == a.token {
				m.gone(twin)
			}
		}
	}
	if err == nil {
		a.endpoints[bound.ID] = held{url: url, pooling: pooling, id: bound.EndpointID}
	}
}

// owner is whose a URL's name or port is, by the store.
func (m *model) owner(url string) postern.AccountID {
	r := request(m.t, url).URL
	m.service.mu.Lock()
	defer m.service.mu.Unlock()
	if r.Scheme == postern.TCP {
		return m.service.ports[r.Port]
	}
	return m.service.names[r.Host]
}

// endpoint draws one that an agent has online; "" is none.
func (m *model) endpoint(t *rapid.T) (*modelled, string) {
	a := m.some(t)
	if len(a.endpoints) == 0 {
		return a, ""
	}
	return a, rapid.SampledFrom(slices.Sorted(maps.Keys(a.endpoints))).Draw(t, "endpoint")
}

func (m *model) unbind(t *rapid.T) {
	a, id := m.endpoint(t)
	if id == "" {
		return
	}
	for range 2 { // SDKs close twice
		if err := a.Unbind(m.t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	delete(a.endpoints, id)
}

func (m *model) stop(t *rapid.T) {
	a, id := m.endpoint(t)
	if id == "" {
		return
	}
	if err := m.StopEndpoint(m.t.Context(), a.endpoints[id].id, postern.Errorf(postern.CodeEndpointOffline, "stopped")); err != nil {
		t.Fatal(err)
	}
	delete(a.endpoints, id)
}

func (m *model) patch(t *rapid.T) {
	a, id := m.endpoint(t)
	if id == "" {
		return
	}
	pooling := rapid.Bool().Draw(t, "pooling")
	e := a.endpoints[id]
	if err := a.Patch(m.t.Context(), link.Patch{EndpointID: e.id, Pooling: &pooling}); err != nil {
		t.Fatal(err)
	}
	e.pooling = pooling
	a.endpoints[id] = e
}

// check compares control, registry, table and ports with the model.
func (m *model) check(t *rapid.T) {
	var want, sessions []string
	routes := map[string]bool{}
	for _, a := range m.agents {
		sessions = append(sessions, string(a.SessionID))
		if a.link.Cause() != nil {
			t.Fatalf("%s ended: %v", a.name, a.link.Cause())
		}
		for _, e := range a.endpoints {
			want = append(want, string(e.id)+" "+e.url)
			routes[e.url] = true
		}
	}
	same(t, "sessions", sessions, func(yield func(string)) {
		for _, s := range m.Sessions() {
			yield(string(s.ID))
		}
	})
	same(t, "endpoints of sessions", want, func(yield func(string)) {
		for _, s := range m.Sessions() {
			for _, e := range s.Endpoints {
				yield(string(e.ID) + " " + e.URL.String())
			}
		}
	})
	same(t, "registry", want, func(yield func(string)) {
		for _, e := range m.cluster.Endpoints() {
			yield(string(e.ID) + " " + e.URL.String())
		}
	})
	// What went offline by itself may stay in the table until the next round; no bind,
	// unbind or end that control was told of may.
	same(t, "route table", slices.Collect(maps.Keys(routes)), func(yield func(string)) {
		for r := range m.table.Load().All() {
			yield(r.URL.String())
		}
	})
	for port := uint16(20000); port < 20010; port++ {
		if open := m.ports.opened(port); open != routes[fmt.Sprintf("tcp://tcp.example.com:%d", port)] {
			t.Fatalf("port %d is open: %v", port, open)
		}
	}
}

func same(t *rapid.T, what string, want []string, each func(yield func(string))) {
	t.Helper()
	var got []string
	each(func(s string) { got = append(got, s) })
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("%s:\n  got  %v\n  want %v", what, got, want)
	}
}

// Whatever agents do and in whatever order they die, what is reachable is what
// living sessions have online: no ghost routes, no lost ones, no port left open.
func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := &model{world: newWorld(t, func(c *control.Config) { c.Limits.SessionsPerAccount = 1000 })}
		r.Repeat(map[string]func(*rapid.T){
			"connect":    m.connect,
			"come back":  m.comeBack,
			"crash":      m.crash,
			"silent":     m.fallSilent,
			"bind":       m.bind,
			"bind again": m.bind,
			"unbind":     m.unbind,
			"stop":       m.stop,
			"patch":      m.patch,
			"":           m.check,
		})
		m.Close(postern.Errorf(postern.CodeLinkDraining, "the round is over"))
		m.agents = nil
		m.check(r)
	})
}
