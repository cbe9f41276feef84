package edge

import (
	"net"
	"strconv"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// mostForwards bounds how many internal endpoints in a row send one connection or request
// on, each to the next.
const mostForwards = 5

// forwarding is the way of a connection or request from a public endpoint to the internal
// one that serves it. The zero value has gone nowhere.
type forwarding struct {
	to   *route.Route // nil: the public endpoint serves by itself
	hops int
}

// send has an internal endpoint of from's account serve what came to from. text is its
// URL. Errors are CodeForwardInvalid, CodeForwardLoop, and CodeInternalOffline, before
// which it is waited for as for others. An error changes nothing.
func (f *forwarding) send(e *Edge, from *route.Route, text string) (postern.URL, *postern.Error) {
	u, err := forwardTarget(from.URL.Scheme, text)
	if err != nil {
		return u, err
	}
	if f.hops >= mostForwards {
		return u, &postern.Error{Code: postern.CodeForwardLoop}
	}
	r := e.internalRoute(from.Account, u)
	if r == nil {
		return u, internalOffline()
	}
	f.to, f.hops = r, f.hops+1
	return u, nil
}

// forwardTarget reads the URL of an internal endpoint to which one of a scheme may send
// what comes to it: requests, or else bytes.
func forwardTarget(from postern.Scheme, text string) (postern.URL, *postern.Error) {
	invalid := func(problem string) *postern.Error {
		return postern.Errorf(postern.CodeForwardInvalid, "a policy's forward-internal cannot be followed: %s", problem)
	}
	asked, err := postern.ParseURLRequest(text, from)
	switch u := (postern.URL{Scheme: asked.Scheme, Host: asked.Host, Port: asked.Port}); {
	case err != nil:
		return u, invalid(postern.AsError(err).Text())
	case !u.Host.Internal() || u.Host.Wildcard():
		return u, invalid("its URL has no name below .internal")
	case u.Scheme == postern.UDP || speaksHTTP(u.Scheme) != speaksHTTP(from):
		return u, invalid("a " + string(u.Scheme) + " endpoint cannot serve what comes to a " + string(from) + " endpoint")
	case u.Scheme == postern.TCP && u.Port == 0:
		return u, invalid("its URL has no port")
	default:
		return u, nil
	}
}

func speaksHTTP(s postern.Scheme) bool { return s == postern.HTTP || s == postern.HTTPS }

// internalOffline says nothing of the name, which is no visitor's business.
func internalOffline() *postern.Error { return &postern.Error{Code: postern.CodeInternalOffline} }

// internalRoute returns an account's internal endpoint, nil for none.
func (e *Edge) internalRoute(account postern.AccountID, u postern.URL) *route.Route {
	r := e.config.Routes.Load().Internal(account, u)
	if r == nil {
		e.await(func() time.Time { return e.config.Recent.Internal(account, u) }, func() bool {
			r = e.config.Routes.Load().Internal(account, u)
			return r != nil
		})
	}
	return r
}

// hostHeader is what a request to u says as its Host.
func hostHeader(u postern.URL) string {
	if u.Port == 0 || u.Port == u.Scheme.DefaultPort() {
		return string(u.Host)
	}
	return net.JoinHostPort(string(u.Host), strconv.Itoa(int(u.Port)))
}

// Forward has the request go on to the internal endpoint at a URL of the same account. It
// is for Follower.Request. The service gets the internal name as Host, and X-Forwarded-*
// with what the visitor asked for; quotas, metrics and the access log stay those of the
// public endpoint. Errors are CodeForwardInvalid, CodeForwardLoop and CodeInternalOffline;
// then the request goes where it went before. It may block for route.ReturnTime.
func (x *Exchange) Forward(to string) error {
	u, err := x.forwarded.send(x.edge, x.route, to)
	if err != nil {
		return x.edge.forwardFailed(x.route, to, err)
	}
	x.picked = nil
	x.request.SetHost(hostHeader(u))
	return nil
}

// serving is the route whose members the request is for: the public one, or the internal
// one that it was forwarded to.
func (x *Exchange) serving() *route.Route {
	if x.forwarded.to != nil {
		return x.forwarded.to
	}
	return x.route
}

// offline is why nobody serves the request.
func (x *Exchange) offline() *postern.Error {
	if x.forwarded.to != nil {
		return internalOffline()
	}
	return offline(x.host)
}

// forwardFailed tells the operator, who alone may know internal names, and gives what the
// visitor is told.
func (e *Edge) forwardFailed(from *route.Route, to string, err *postern.Error) *postern.Error {
	if also, now := e.refusals.note(time.Now()); now {
		e.logger.WarnContext(e.ctx, "an endpoint cannot forward to an internal one", "endpoint", from.URL.String(), "account", from.Account,
			"to", clip(to), "also", also, "error", err)
	}
	return &postern.Error{Code: err.Code}
}

// clip shortens what a policy has made of a visitor's words.
func clip(s string) string {
	const most = 300
	return s[:min(len(s), most)]
}
