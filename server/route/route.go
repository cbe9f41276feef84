// Package route answers one question for the edge: who serves this name or port?
//
// A Table is an immutable snapshot. server/routebuild makes a new one from live
// endpoints and reservations, Current swaps it in atomically, and a look-up costs
// no lock and no allocation. Nothing here does I/O: a dead database cannot stop
// traffic.
package route

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/errorpage"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
)

// Route is a public address and who serves it.
type Route struct {
	URL     postern.URL // wildcard routes have a wildcard host
	Account postern.AccountID
	// Termination, CertificatePEM, Key and MutualTLS decide what is done before anybody
	// is picked, so all who share a route agree on them.
	Termination    postern.Termination
	CertificatePEM string
	Key            postern.Secret
	MutualTLS      postern.MutualTLS
	// Policies are the programs of those who share the route, each once; a nil among them
	// is of those who have none. Empty: nobody has one.
	Policies []*policy.Program
	// Pages are the endpoint's own error pages; nil for none.
	Pages *errorpage.Set
	Owner Owner
	Meter *quota.Meter // of the account; nil is no limits

	// Memo, TLS and Terminations are the edge's: they go when the route goes.
	Memo, TLS, Terminations Memo
}

// Owner picks who serves the next connection or request: a session of this node,
// or another node. The edge cannot tell.
type Owner interface {
	// Pick returns the healthy member with the least to do that skip does not
	// reject; nil skip rejects none. With nobody left it returns
	// CodeEndpointOffline. The caller must call the member's Begin for what it sends
	// there.
	Pick(skip func(Member) bool) (Member, error)
}

// Member is one endpoint of those that share a route.
type Member interface {
	link.Opener // fills Header.Endpoint in by itself

	// ID is unique for the life of the binding: caches may key on it.
	ID() postern.EndpointID
	Options() postern.EndpointOptions

	// Meter is that of the member's credential; nil is no limits.
	Meter() *quota.Meter

	// Policy is what must have let a connection or request pass before the member is
	// given it; nil for none.
	Policy() *policy.Program

	// Transport names the wire of the member's session, as link.Session does.
	Transport() string

	// Begin counts one connection or request as busy until the returned function is
	// called, and reports by ok whether the member could be reached (its health).
	Begin() (end func(ok bool))

	// Done is closed when the member is gone.
	Done() <-chan struct{}
}
