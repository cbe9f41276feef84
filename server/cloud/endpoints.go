package cloud

import (
	"cmp"
	"log/slog"
	"slices"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/errorpage"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// Endpoint is one cloud endpoint.
type Endpoint struct {
	ID      postern.EndpointID
	Account postern.AccountID
	URL     postern.URL // with its Account where it is internal
	Pooling bool        // may share its URL
	Policy  string      // YAML or JSON
	Pages   string      // postern.ErrorPages in JSON, "" for none
}

// behaviour is what the endpoint's member depends on.
func (e Endpoint) behaviour() Endpoint {
	e.Pages = ""
	return e
}

// Ports opens and closes the listeners of tcp endpoints, as the edge does.
type Ports interface {
	OpenPort(scheme postern.Scheme, port uint16) error
	ClosePort(scheme postern.Scheme, port uint16, mayReturn bool)
}

// Config says what Endpoints work with. All but Meters is required.
type Config struct {
	Ports Ports
	// Compile compiles an endpoint's policy. It is called once for each change.
	Compile func(Endpoint) (*policy.Program, error)
	Meters  *quota.Meters // of accounts; nil: no limits
	Logger  *slog.Logger
}

// Endpoints are the cloud endpoints in force. All methods may be called from anywhere at
// once.
type Endpoints struct {
	config Config

	mu      sync.Mutex
	members map[postern.EndpointID]*member
	pools   map[route.Key]*pool
	opened  map[uint16]bool // tcp ports
	changed chan struct{}   // closed at the next change; nil while nobody waits
}

// New returns Endpoints without any.
func New(c Config) *Endpoints {
	return &Endpoints{config: c, members: make(map[postern.EndpointID]*member),
		pools: make(map[route.Key]*pool), opened: make(map[uint16]bool)}
}

// Set puts all in force, in place of what was before. An endpoint that has not changed
// stays what it is: its policy keeps what it has counted. Visitors reach a new one once the
// route table has been built anew. Ports that cannot be listened on are tried again by the
// next call.
func (e *Endpoints) Set(all []Endpoint) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Endpoint) int { return cmp.Compare(a.ID, b.ID) }) // the oldest first
	e.mu.Lock()
	defer e.mu.Unlock()
	pools, members := make(map[route.Key]*pool), make(map[postern.EndpointID]*member)
	changed := false
	for _, one := range all {
		m := e.members[one.ID]
		if m == nil || m.endpoint != one.behaviour() {
			m, changed = e.newMember(one.behaviour()), true
		}
		if p := e.place(pools, m); p != nil {
			members[one.ID] = m
			p.pages = cmp.Or(p.pages, one.Pages) // those of the oldest that has any
		}
	}
	e.openPorts(pools)
	for key, p := range pools {
		changed = changed || e.pools[key] == nil || e.pools[key].pages != p.pages
	}
	if !changed && len(members) == len(e.members) {
		return
	}
	for key, p := range pools {
		if before := e.pools[key]; before != nil && before.pages == p.pages && slices.Equal(before.members, p.members) {
			pools[key] = before
			continue
		}
		p.show()
		e.addPages(p)
	}
	before := e.members
	e.members, e.pools = members, pools
	for id, m := range before {
		if members[id] != m {
			m.end()
		}
	}
	if e.changed != nil {
		close(e.changed)
		e.changed = nil
	}
}

// place puts m into the pool of its URL. Whoever keeps the endpoints sees to it that those
// that are not of one pool never meet; if they do, the oldest is served, and nil returned.
// mu is held.
func (e *Endpoints) place(pools map[route.Key]*pool, m *member) *pool {
	key := route.KeyOf(m.endpoint.URL)
	p := pools[key]
	switch {
	case p == nil:
		p = newPool(m.endpoint, e.config.Meters)
		pools[key] = p
	case !p.takes(m):
		e.config.Logger.Error("a cloud endpoint is not served: another one has its URL",
			"endpoint_id", m.endpoint.ID, "endpoint", m.endpoint.URL.String(), "account", m.endpoint.Account)
		return nil
	}
	p.members = append(p.members, m)
	return p
}

// addPages compiles a pool's error pages. Those that cannot be used, which were usable when
// they were stored, leave everything to the server's own.
func (e *Endpoints) addPages(p *pool) {
	var err error
	if p.route.Pages, err = errorpage.Read(p.pages); err != nil {
		e.config.Logger.Error("the error pages of a cloud endpoint cannot be used", "endpoint", p.route.URL.String(), "error", err)
	}
}

// openPorts opens the ports of public tcp endpoints, and closes those of others. mu is held.
func (e *Endpoints) openPorts(pools map[route.Key]*pool) {
	wanted := make(map[uint16]bool)
	for _, p := range pools {
		if p.route.URL.HasPort() {
			wanted[p.route.URL.Port] = true
		}
	}
	for port := range wanted {
		if e.opened[port] {
			continue
		}
		if err := e.config.Ports.OpenPort(postern.TCP, port); err != nil {
			e.config.Logger.Error("a cloud endpoint is not reachable", "port", port, "error", err)
			continue
		}
		e.opened[port] = true
	}
	for port := range e.opened {
		if !wanted[port] {
			delete(e.opened, port)
			e.config.Ports.ClosePort(postern.TCP, port, false)
		}
	}
}

// Owners returns one route for each URL, in no order. It is one and the same for as long as
// its members are.
func (e *Endpoints) Owners() []*route.Route {
	e.mu.Lock()
	defer e.mu.Unlock()
	routes := make([]*route.Route, 0, len(e.pools))
	for _, p := range e.pools {
		routes = append(routes, &p.route)
	}
	return routes
}

// Changed returns a channel that is closed at the next change. Ask for it before reading:
// what changes in between is then not missed.
func (e *Endpoints) Changed() <-chan struct{} {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.changed == nil {
		e.changed = make(chan struct{})
	}
	return e.changed
}
