package cloud

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// Transport is what a cloud endpoint has for a wire.
const Transport = "cloud"

// member is one cloud endpoint with one policy. No stream can be opened to it: its policy
// answers, or sends what comes to another endpoint.
type member struct {
	endpoint Endpoint
	program  *policy.Program
	online   context.Context
	end      context.CancelFunc
}

// newMember compiles the policy. One that cannot be used, which was usable when it was
// stored, leaves an endpoint behind which there is nothing.
func (e *Endpoints) newMember(of Endpoint) *member {
	m := &member{endpoint: of}
	m.online, m.end = context.WithCancel(context.Background())
	var err error
	if m.program, err = e.config.Compile(of); err != nil {
		e.config.Logger.Error("the policy of a cloud endpoint cannot be used", "endpoint_id", of.ID, "endpoint", of.URL.String(), "error", err)
	}
	return m
}

// ID implements route.Member.
func (m *member) ID() postern.EndpointID { return m.endpoint.ID }

// Policy implements route.Member.
func (m *member) Policy() *policy.Program { return m.program }

// Options implements route.Member.
func (m *member) Options() postern.EndpointOptions { return postern.EndpointOptions{} }

// Meter implements route.Member: no credential is involved.
func (m *member) Meter() *quota.Meter { return nil }

// Transport implements route.Member.
func (m *member) Transport() string { return Transport }

// Begin implements route.Member.
func (m *member) Begin() (end func(ok bool)) { return func(bool) {} }

// Done implements route.Member.
func (m *member) Done() <-chan struct{} { return m.online.Done() }

// AfterDone runs f once the member is gone; see link.AfterDone.
func (m *member) AfterDone(f func()) (stop func() bool) { return context.AfterFunc(m.online, f) }

// Open implements link.Opener. It is called for what the policy has let pass, which it
// should have answered.
func (m *member) Open(context.Context, link.Header, []byte) (link.Stream, error) {
	return nil, postern.Errorf(postern.CodeCloudUnanswered, "the policy of the endpoint %s gave no answer", m.endpoint.URL)
}

// pool is the cloud endpoints of one URL; usually that is one. It never changes once it is
// in a route table.
type pool struct {
	route   route.Route
	members []*member
	pages   string // see Endpoint.Pages
	turn    atomic.Uint64
}

func newPool(first Endpoint, meters *quota.Meters) *pool {
	p := &pool{route: route.Route{URL: first.URL, Account: first.Account, Meter: meters.Account(first.Account)}}
	p.route.Owner = p
	return p
}

// show notes in the route which policies its members have.
func (p *pool) show() {
	for _, m := range p.members {
		if !slices.ContainsFunc(p.route.Policies, m.program.Same) {
			p.route.Policies = append(p.route.Policies, m.program)
		}
	}
}

// takes tells whether m may share the pool.
func (p *pool) takes(m *member) bool {
	first := p.members[0].endpoint
	return first.URL == m.endpoint.URL && first.Account == m.endpoint.Account && first.Pooling && m.endpoint.Pooling
}

// Len is how many members there are.
func (p *pool) Len() int { return len(p.members) }

// Pick implements route.Owner: one after the other.
func (p *pool) Pick(skip func(route.Member) bool) (route.Member, error) {
	if len(p.members) == 1 && skip == nil {
		return p.members[0], nil
	}
	from := int(p.turn.Add(1) % uint64(len(p.members))) //nolint:gosec // below a length
	for _, m := range slices.Concat(p.members[from:], p.members[:from]) {
		if skip == nil || !skip(m) {
			return m, nil
		}
	}
	return nil, postern.Errorf(postern.CodeEndpointOffline, "the endpoint %s is offline", p.route.URL)
}

var (
	_ route.Member = (*member)(nil)
	_ route.Owner  = (*pool)(nil)
)
