package cluster

import (
	"cmp"
	"slices"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/errorpage"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// Local is the registry of the endpoints that sessions of this node serve. All
// methods may be called from anywhere at once; none blocks for longer than its own
// work.
type Local struct {
	mu       sync.Mutex
	pools    map[route.Key]*pool
	members  map[postern.EndpointID]*member
	accounts map[postern.AccountID]map[postern.EndpointID]*member
	sessions map[link.Session]*attendance
	changed  chan struct{} // closed at the next change; nil while nobody waits
	recent   *route.Recent
	meters   *quota.Meters
	compile  func(postern.Endpoint) (*policy.Program, error)
}

// New returns an empty registry.
func New() *Local {
	return &Local{
		pools:    make(map[route.Key]*pool),
		members:  make(map[postern.EndpointID]*member),
		accounts: make(map[postern.AccountID]map[postern.EndpointID]*member),
		sessions: make(map[link.Session]*attendance),
		recent:   new(route.Recent),
	}
}

// Measure has the traffic of accounts and credentials counted, and limited, by meters. It
// is called before the first Register.
func (l *Local) Measure(meters *quota.Meters) { l.meters = meters }

// Obey has the policies of endpoints compiled by compile. It is called before the first
// Register; without it endpoints that have a policy are refused.
func (l *Local) Obey(compile func(postern.Endpoint) (*policy.Program, error)) { l.compile = compile }

// program is the policy of an endpoint, nil for none.
func (l *Local) program(e postern.Endpoint) (*policy.Program, error) {
	switch {
	case e.Options.Policy == "" && e.Options.PolicyBefore == "":
		return nil, nil
	case l.compile == nil:
		return nil, postern.Errorf(postern.CodeOptionUnsupported, "endpoints with a traffic policy are not served here")
	}
	return l.compile(e)
}

// Recent remembers what has gone offline.
func (l *Local) Recent() *route.Recent { return l.recent }

// Forget notes that a URL that has gone offline did so on purpose: visitors need not
// wait for its return.
func (l *Local) Forget(u postern.URL) {
	l.recent.Dismiss(u)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.announce() // the other processes of the node are told
}

// Register takes an endpoint online until release is called or its session ends,
// whichever comes first. release may be called any number of times. Visitors reach
// the endpoint once the route table has been built anew.
//
// Endpoints may share a URL if they belong to one account, all allow pooling and
// agree on how TLS is handled; else the error is a *Conflict. A session that has
// ended is CodeLinkLost. Where an agent has gone over from one process of this node to
// another, its newer session replaces the older one at the same URL; who comes with the
// older one is refused with CodeLinkDraining.
func (l *Local) Register(live Live) (release func(), err error) {
	program, err := l.program(live.Endpoint)
	if err != nil {
		return nil, err
	}
	pages, err := errorpage.Read(live.Endpoint.Options.ErrorPages)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-live.Session.Done():
		return nil, postern.Errorf(postern.CodeLinkLost, "the session ended before %s came online", live.Endpoint.URL)
	default:
	}
	if l.members[live.Endpoint.ID] != nil {
		return nil, postern.Errorf(postern.CodeInternal, "endpoint id %s is in use", live.Endpoint.ID)
	}
	key := route.KeyOf(live.Endpoint.URL)
	p := l.pools[key]
	var former []*member
	if p != nil {
		former = p.formerOf(live)
		if err := p.admits(live, former); err != nil {
			return nil, err
		}
		if !p.suits(live.Endpoint) { // all others are former, see conflictWith
			l.removeAll(former)
			former, p = nil, nil
		}
	}
	if p == nil {
		p = newPool(live.Endpoint)
		p.route.Meter = l.meters.Account(live.Endpoint.Account)
		l.pools[key] = p
	}
	m := newMember(live, p, l.meters.Credential(live.Endpoint.Account, live.Endpoint.Credential), program, pages)
	l.enter(m)
	p.add(m)
	l.attend(m)
	l.removeAll(former) // only now, so that the address is never without anybody
	l.announce()
	return sync.OnceFunc(func() { l.remove(m) }), nil
}

// removeAll takes members offline. l.mu is held.
func (l *Local) removeAll(members []*member) {
	for _, m := range members {
		l.drop(m)
		l.leave(m)
	}
}

// remove takes m offline; a second call finds nothing to do.
func (l *Local) remove(m *member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(m)
	l.leave(m)
}

// drop takes m out of its pool. l.mu is held.
func (l *Local) drop(m *member) {
	if l.members[m.id] != m {
		return
	}
	l.exit(m)
	if m.pool.remove(m) == 0 {
		delete(l.pools, route.KeyOf(m.pool.route.URL))
		l.recent.Lose(m.pool.route.URL)
	}
	m.end()
	m.meter.Release()
	l.announce()
}

// announce wakes whoever waits for a change. l.mu is held.
func (l *Local) announce() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// Changed returns a channel that is closed at the next change of who is online. Ask
// for it before reading: what changes in between is then not missed.
func (l *Local) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

// Owners returns one route per pool, in no order. A pool's route is one and the same
// for as long as the pool lives and its members' policies and pages stay, so pointers
// tell routes apart across tables.
func (l *Local) Owners() []*route.Route {
	l.mu.Lock()
	defer l.mu.Unlock()
	routes := make([]*route.Route, 0, len(l.pools))
	for _, p := range l.pools {
		routes = append(routes, p.current())
	}
	return routes
}

// Lent returns what sessions of this very process have online, in no order.
func (l *Local) Lent() []Live {
	l.mu.Lock()
	defer l.mu.Unlock()
	lives := make([]Live, 0, len(l.members))
	for _, m := range l.members {
		if !m.live.Borrowed {
			lives = append(lives, m.snapshot())
		}
	}
	return lives
}

// Endpoints returns a snapshot of what is online, oldest first.
func (l *Local) Endpoints() []postern.Endpoint {
	l.mu.Lock()
	endpoints := make([]postern.Endpoint, 0, len(l.members))
	for _, m := range l.members {
		endpoints = append(endpoints, m.snapshot().Endpoint)
	}
	l.mu.Unlock()
	slices.SortFunc(endpoints, func(a, b postern.Endpoint) int { return cmp.Compare(a.ID, b.ID) })
	return endpoints
}

// Find returns an endpoint that is online by its id.
func (l *Local) Find(id postern.EndpointID) (Live, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.members[id]
	if m == nil {
		return Live{}, false
	}
	return m.snapshot(), true
}

// Holders returns who keeps others from the URL, oldest first: nobody, one, or the
// members of a pool.
func (l *Local) Holders(u postern.URL) []Live {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.pools[route.KeyOf(u)]; p != nil {
		return p.lives()
	}
	return nil
}

// Update changes what may change of a live endpoint: its name, description, metadata,
// pooling, policy and what it says it forwards to. Other changes that change makes are
// ignored; it may be called more than once. An endpoint that is not online is
// CodeEndpointUnknown. Whoever comes after Update has returned meets the new policy; what
// is under way ends under the old one.
func (l *Local) Update(id postern.EndpointID, change func(*postern.Endpoint)) error {
	for {
		l.mu.Lock()
		m := l.members[id]
		l.mu.Unlock()
		if m == nil {
			return postern.Errorf(postern.CodeEndpointUnknown, "endpoint %q is not online", id)
		}
		was, program := m.snapshot().Endpoint, m.Policy()
		next := changed(was, change)
		if next.Options.Policy != was.Options.Policy {
			var err error
			if program, err = l.program(next); err != nil { // takes its time: nobody waits for it
				return err
			}
		}
		if l.replace(m, was, next, program) {
			return nil
		}
	}
}

// replace has m become next; false says that it is not what it was any more.
func (l *Local) replace(m *member, was, next postern.Endpoint, program *policy.Program) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.members[m.id] != m || m.snapshot().Endpoint != was {
		return false
	}
	m.become(next, program)
	l.announce()
	return true
}
