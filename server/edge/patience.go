package edge

import (
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// mostPatient bounds how many visitors wait at once for an address to come back; the
// others are told at once that it is offline.
const mostPatient = 4096

// await calls done now and after every change of the routes, until it says so, until
// the time has come that until names, or the edge drains. It is for addresses that were
// lost a moment ago: their agent is on its way back, most likely. until is asked again
// when it turns out that one will not come back.
func (e *Edge) await(until func() time.Time, done func() bool) {
	left := time.Until(until())
	if left <= 0 || e.draining.Load() {
		return
	}
	defer e.patient.Add(-1)
	if e.patient.Add(1) > mostPatient {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	for {
		changed, forgot := e.config.Routes.Changed(), e.config.Recent.Changed()
		if done() {
			return
		}
		if left = time.Until(until()); left <= 0 {
			return
		}
		timer.Reset(left)
		select {
		case <-changed:
		case <-forgot:
		case <-timer.C:
			return
		case <-e.ctx.Done():
			return
		}
	}
}

// lookPatiently is look for a name that may come back.
func (x *Exchange) lookPatiently(to destination, err error) (destination, error) {
	until := func() time.Time { return x.edge.config.Recent.HTTP(x.host, x.visitor.secure) }
	x.edge.await(until, func() bool {
		to, err = x.look()
		return !isCode(err, postern.CodeEndpointOffline)
	})
	return to, err
}

// forwardLater offers the request, of which nothing was sent, to a member that comes
// within route.ReturnTime. Those in tried were, in vain; failed is why.
func (x *Exchange) forwardLater(f forwarder, failed error, tried []route.Member) error {
	if x.edge.config.Recent == nil {
		return failed
	}
	at := x.serving()
	x.edge.await(x.edge.returning(at), func() bool {
		if !f.untouched() {
			return true
		}
		m, r := x.edge.another(at, tried)
		if m == nil {
			return false
		}
		if r != at && x.forwarded.to != nil {
			failed = errMoved
			return true
		}
		if r != at && (x.begun || x.live.planFor(r).needs&(NeedHead|NeedBytes) != 0) {
			x.route, failed = r, errMoved
			return true
		}
		if r != at {
			at, x.route = r, r
		}
		failed = x.offer(m, f)
		tried = append(tried, m)
		return failed == nil || !away(failed)
	})
	return failed
}

// returning says for how long to wait for a member of a route whose members have just
// failed: not at all any more once the route has gone on purpose.
func (e *Edge) returning(r *route.Route) (until func() time.Time) {
	at := time.Now().Add(route.ReturnTime)
	return func() time.Time {
		if e.config.Routes.Load().Same(r) == nil && e.config.Recent.Until(r.URL).IsZero() {
			return time.Time{}
		}
		return at
	}
}

// another finds a member that was not tried, of whichever route has the address now.
func (e *Edge) another(r *route.Route, tried []route.Member) (route.Member, *route.Route) {
	now := e.config.Routes.Load().Same(r)
	if now == nil || now.Termination != r.Termination || now.MutualTLS != r.MutualTLS {
		return nil, nil
	}
	m, err := now.Owner.Pick(func(m route.Member) bool { return slices.Contains(tried, m) })
	if err != nil {
		return nil, nil
	}
	return m, now
}

// away tells whether a request failed because its agent's session is over, before
// anything was sent: the agent may be back in a moment.
func away(err error) bool { return unseen(err) && unsent(err) }

// tlsRoute returns the tls endpoint of a name, nil for none.
func (e *Edge) tlsRoute(name postern.Hostname) *route.Route {
	if name == "" {
		return nil
	}
	r := e.config.Routes.Load().TLS(name)
	if r == nil {
		e.await(func() time.Time { return e.config.Recent.TLS(name) }, func() bool {
			r = e.config.Routes.Load().TLS(name)
			return r != nil
		})
	}
	return r
}

// webRoute returns the https endpoint of a name, nil for none.
func (e *Edge) webRoute(name postern.Hostname) *route.Route {
	if name == "" {
		return nil
	}
	r := e.config.Routes.Load().HTTP(name, true)
	if r == nil {
		// What it asks of certificates must be known before the handshake.
		e.await(func() time.Time { return e.config.Recent.HTTP(name, true) }, func() bool {
			r = e.config.Routes.Load().HTTP(name, true)
			return r != nil
		})
	}
	return r
}

// flowRoute returns the udp endpoint of a port, nil for none.
func (e *Edge) flowRoute(port uint16) *route.Route {
	r := e.config.Routes.Load().Flow(port)
	if r == nil {
		e.await(func() time.Time { return e.config.Recent.Flow(port) }, func() bool {
			r = e.config.Routes.Load().Flow(port)
			return r != nil
		})
	}
	return r
}

// portRoute returns the tcp endpoint of a port, nil for none.
func (e *Edge) portRoute(port uint16) *route.Route {
	r := e.config.Routes.Load().Port(port)
	if r == nil {
		e.await(func() time.Time { return e.config.Recent.Port(port) }, func() bool {
			r = e.config.Routes.Load().Port(port)
			return r != nil
		})
	}
	return r
}
