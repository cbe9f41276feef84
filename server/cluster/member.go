package cluster

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/errorpage"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// member is one live endpoint of a pool.
type member struct {
	id      postern.EndpointID
	bindID  string
	session link.Session
	options postern.EndpointOptions
	meter   *quota.Meter
	program atomic.Pointer[policy.Program]
	pages   *errorpage.Set // nil for none
	pool    *pool
	online  context.Context
	end     context.CancelFunc // called by Local when the member goes offline
	busy    atomic.Int64
	place   int    // in its session's attendance; guarded by Local.mu
	health  health // guarded by pool.mu

	mu   sync.Mutex
	live Live // only its Endpoint's texts, policy and pooling ever change
}

func newMember(live Live, p *pool, meter *quota.Meter, program *policy.Program, pages *errorpage.Set) *member {
	m := &member{
		id:      live.Endpoint.ID,
		bindID:  live.BindID,
		session: live.Session,
		options: live.Endpoint.Options,
		meter:   meter,
		pages:   pages,
		pool:    p,
		live:    live,
	}
	m.program.Store(program)
	meter.Hold()
	m.online, m.end = context.WithCancel(context.Background())
	return m
}

// ID implements route.Member.
func (m *member) ID() postern.EndpointID { return m.id }

// Options implements route.Member.
func (m *member) Options() postern.EndpointOptions { return m.options }

// Meter implements route.Member.
func (m *member) Meter() *quota.Meter { return m.meter }

// Policy implements route.Member.
func (m *member) Policy() *policy.Program { return m.program.Load() }

// Transport implements route.Member.
func (m *member) Transport() string { return m.session.Transport() }

// Done implements route.Member.
func (m *member) Done() <-chan struct{} { return m.online.Done() }

// AfterDone runs f once the member is offline; see link.AfterDone.
func (m *member) AfterDone(f func()) (stop func() bool) { return context.AfterFunc(m.online, f) }

// Open implements link.Opener, in the member's own name.
func (m *member) Open(ctx context.Context, h link.Header, first []byte) (link.Stream, error) {
	h.Endpoint = m.bindID
	return m.session.Open(ctx, h, first)
}

// Begin implements route.Member.
func (m *member) Begin() (end func(ok bool)) {
	m.busy.Add(1)
	var ended atomic.Bool
	return func(ok bool) {
		if ended.Swap(true) {
			return
		}
		m.busy.Add(-1)
		m.pool.report(m, ok)
	}
}

func (m *member) snapshot() Live {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.live
}

// become puts what an endpoint has become in the place of what it was.
func (m *member) become(e postern.Endpoint, program *policy.Program) {
	m.mu.Lock()
	m.live.Endpoint = e
	m.mu.Unlock()
	if !m.program.Swap(program).Same(program) {
		m.pool.showAnew()
	}
}

// changed is an endpoint after a change, which keeps what must not change.
func changed(e postern.Endpoint, change func(*postern.Endpoint)) postern.Endpoint {
	asked := e
	change(&asked)
	e.Name, e.Description, e.Metadata = asked.Name, asked.Description, asked.Metadata
	e.ForwardsTo, e.Pooling = asked.ForwardsTo, asked.Pooling
	e.Options.Policy = asked.Options.Policy
	return e
}

var _ route.Member = (*member)(nil)
