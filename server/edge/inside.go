package edge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/route"
)

// inside makes a visitor one that a policy calls an internal endpoint as: it is served by
// that endpoint, and no other.
type inside struct {
	account postern.AccountID
	to      postern.URL
	depth   int // of calls; 1 for one by the policy of an endpoint that a person visits
}

// DialInternal implements outcall.Endpoints: what the connection carries goes the way of
// a visitor's request, so the internal endpoint's own policy and limits count, and the
// restrictions of the account by the address of by. It may block for route.ReturnTime.
// Errors are CodeForwardInvalid, CodeForwardLoop, CodeInternalOffline and, where the server
// takes no more connections, CodeOutcallsBusy.
func (e *Edge) DialInternal(ctx context.Context, account postern.AccountID, u *url.URL, by outcall.Inside) (net.Conn, error) {
	to, refusal := forwardTarget(postern.Scheme(u.Scheme), u.Scheme+"://"+u.Host)
	if refusal != nil {
		return nil, refusal
	}
	if by.Depth >= mostForwards {
		return nil, &postern.Error{Code: postern.CodeForwardLoop}
	}
	if e.internalRoute(account, to) == nil {
		return nil, internalOffline()
	}
	if err := ctx.Err(); err != nil {
		return nil, err // nobody waits for it any more
	}
	if e.Pressure() >= PressureHigh || !e.admission.enter(e.live.Load().Limits.Connections) {
		return nil, postern.Errorf(postern.CodeOutcallsBusy, "the server takes no more connections at the moment")
	}
	near, far := net.Pipe()
	v := newVisitor(e, far, netip.AddrPortFrom(by.Client, 0), "internal")
	v.secure, v.inside = to.Scheme == postern.HTTPS, &inside{account, to, by.Depth + 1}
	if !e.startInside(v) {
		_ = v.Close()
		return nil, &postern.Error{Code: postern.CodeLinkDraining}
	}
	return near, nil
}

// startInside is start for a policy's call. While the edge drains there still are some:
// requests that are under way make them.
func (e *Edge) startInside(v *visitor) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() != nil {
		return false
	}
	e.visitors[v] = struct{}{}
	e.all.Go(func() { e.greet(v, listener{name: v.listener, handle: e.handleInside}) })
	return true
}

// drainInside is for when nobody is left who makes calls.
func drainInside(ctx context.Context, all []*fronts) error {
	var err error
	for _, f := range all {
		err = errors.Join(err, f.inside.server.Shutdown(ctx))
	}
	return err
}

// handleInside hands a policy's call over.
func (e *Edge) handleInside(v *visitor) { e.front().inside.takeHTTP1(v, v) }

// serveInside serves a policy's call, whatever it says its host is.
func (x *webExchange) serveInside() error {
	host, err := requestHost(x.r.Host)
	if err != nil {
		return err
	}
	x.host = host
	if x.route = x.edge.internalRoute(x.visitor.inside.account, x.visitor.inside.to); x.route == nil {
		return internalOffline()
	}
	x.client = clientFacts{addr: x.visitor.client.Addr()}
	if err := x.certify(); err != nil {
		return err
	}
	return x.relay()
}

// routed is the route that requests like x have in the table in force; nil for none.
func (x *Exchange) routed() *route.Route {
	table := x.edge.config.Routes.Load()
	if in := x.visitor.inside; in != nil {
		return table.Internal(in.account, in.to)
	}
	return table.HTTP(x.host, x.visitor.secure)
}

// depth is how many calls of policies led to the visitor.
func (v *visitor) depth() int {
	if v.inside == nil {
		return 0
	}
	return v.inside.depth
}

var _ outcall.Endpoints = (*Edge)(nil)
