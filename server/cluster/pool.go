package cluster

import (
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/errorpage"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

// pool is the endpoints that share a URL; usually that is one.
type pool struct {
	route route.Route // but for the policies and the pages; it never changes

	mu      sync.Mutex
	shown   *route.Route // with the policies and the pages of the members as they are
	pages   string       // those of shown, see postern.EndpointOptions
	members []*member    // in the order of their coming
	turn    int          // where the next search starts
}

func newPool(first postern.Endpoint) *pool {
	p := &pool{route: route.Route{
		URL:            first.URL,
		Account:        first.Account,
		Termination:    first.Options.Termination,
		CertificatePEM: first.Options.CertificatePEM,
		Key:            first.Options.KeyPEM,
		MutualTLS:      first.Options.MutualTLS,
	}}
	p.route.Owner = p
	return p
}

func (p *pool) add(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.members = append(p.members, m)
	p.show()
}

// remove returns how many are left.
func (p *pool) remove(m *member) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.members, m); i >= 0 {
		p.members = slices.Delete(p.members, i, i+1)
		p.show()
	}
	return len(p.members)
}

// current is the route as the table should have it.
func (p *pool) current() *route.Route {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown
}

// show makes a route anew where the members' policies or pages are others than before. mu
// is held.
func (p *pool) show() {
	if len(p.members) == 0 {
		return // the pool is over; who still has the route is held to what it says
	}
	programs := p.programs()
	pages, text := p.ownPages()
	if p.shown != nil && p.pages == text && slices.EqualFunc(p.shown.Policies, programs, (*policy.Program).Same) {
		return
	}
	p.pages = text
	p.shown = &route.Route{
		URL: p.route.URL, Account: p.route.Account, Termination: p.route.Termination, CertificatePEM: p.route.CertificatePEM,
		Key: p.route.Key, MutualTLS: p.route.MutualTLS, Policies: programs, Pages: pages, Owner: p, Meter: p.route.Meter,
	}
}

// programs are the members' policies, each once; nil where nobody has one. mu is held.
func (p *pool) programs() []*policy.Program {
	var all []*policy.Program
	for _, m := range p.members {
		if program := m.Policy(); !slices.ContainsFunc(all, program.Same) {
			all = append(all, program)
		}
	}
	if len(all) == 1 && all[0] == nil {
		return nil
	}
	return all
}

// ownPages are those of the member that has been there longest, of those that have any.
// mu is held.
func (p *pool) ownPages() (pages *errorpage.Set, text string) {
	for _, m := range p.members {
		if m.pages != nil {
			return m.pages, m.options.ErrorPages
		}
	}
	return nil, ""
}

// showAnew is show after a member's policy has changed.
func (p *pool) showAnew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.show()
}

// formerOf returns the members that live succeeds.
func (p *pool) formerOf(live Live) (former []*member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if live.succeeds(m.snapshot()) {
			former = append(former, m)
		}
	}
	return former
}

// admits checks whether live may join those who are not its former.
func (p *pool) admits(live Live, former []*member) error {
	var others []Live
	for _, other := range p.lives() {
		if other.sameAgent(live) && !live.succeeds(other) {
			return postern.Errorf(postern.CodeLinkDraining, "a newer session of the agent has %s", live.Endpoint.URL)
		}
		if !slices.ContainsFunc(former, func(m *member) bool { return m.id == other.Endpoint.ID }) {
			others = append(others, other)
		}
	}
	return conflictWith(others, live)
}

// suits tells whether the pool's route is right for e.
func (p *pool) suits(e postern.Endpoint) bool {
	of := newPool(e).route
	return of.URL == p.route.URL && of.Account == p.route.Account && of.Termination == p.route.Termination &&
		of.CertificatePEM == p.route.CertificatePEM && of.Key.Equal(p.route.Key) &&
		of.MutualTLS == p.route.MutualTLS
}

// Len is how many members there are.
func (p *pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.members)
}

func (p *pool) lives() []Live {
	p.mu.Lock()
	defer p.mu.Unlock()
	lives := make([]Live, len(p.members))
	for i, m := range p.members {
		lives[i] = m.snapshot()
	}
	return lives
}

// Pick implements route.Owner: of the members that were not found unreachable a
// moment ago, the one with the least to do; among equals in turn. If all were, the
// one that has rested longest is tried rather than nobody.
func (p *pool) Pick(skip func(route.Member) bool) (route.Member, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if picked := p.pick(skip); picked != nil {
		return picked, nil
	}
	return nil, postern.Errorf(postern.CodeEndpointOffline, "the endpoint %s is offline", p.route.URL)
}

func (p *pool) pick(skip func(route.Member) bool) *member {
	if len(p.members) == 1 && skip == nil {
		return p.members[0] // nobody to compare with, so health need not be asked
	}
	now := time.Now()
	var best, rested *member
	var least int64
	for i := range p.members {
		m := p.members[(p.turn+i)%len(p.members)]
		if skip != nil && skip(m) {
			continue
		}
		if m.health.pausing(now) {
			if rested == nil || m.health.until.Before(rested.health.until) {
				rested = m
			}
			continue
		}
		if busy := m.busy.Load(); best == nil || busy < least {
			best, least = m, busy
		}
	}
	p.turn++
	if best == nil {
		return rested
	}
	best.health.picked(now)
	return best
}

// report notes how an attempt to reach a member ended.
func (p *pool) report(m *member, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok {
		m.health.works()
	} else {
		m.health.failed(time.Now())
	}
}

var _ route.Owner = (*pool)(nil)
