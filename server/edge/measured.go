package edge

import (
	"sync/atomic"

	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/route"
)

// measured is a route whose exchanges are counted.
type measured struct {
	metrics *metrics
	route   *route.Route
	at      atomic.Pointer[endpointMetrics]
}

// Subscribe implements Subscriber. Requests that find no endpoint are not counted: they
// have no name that is worth a label.
func (m *metrics) Subscribe(r *route.Route) Subscription {
	if r == nil {
		return Subscription{}
	}
	e := &measured{metrics: m, route: r}
	e.at.Store(m.endpoint(r))
	return Subscription{Needs: NeedOutcome, Follow: e.follow}
}

func (e *measured) follow(x *Exchange) Follower {
	at := e.at.Load()
	if at.dropped.Load() {
		at = e.metrics.endpoint(e.route)
		e.at.Store(at)
	}
	if now := e.metrics.age(x.times.Started); at.used.Load() != now {
		at.used.Store(now)
	}
	return at
}

// Upgraded implements Follower: what an open connection moves counts as it moves.
func (c *endpointMetrics) Upgraded(x *Exchange) {
	c.open.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.upgraded == nil {
		c.upgraded = make(map[*relay.Counters]struct{})
	}
	c.upgraded[x.moved] = struct{}{}
}

// End implements Follower.
func (c *endpointMetrics) End(x *Exchange) {
	took := x.times.Ended.Sub(x.times.Started)
	if x.moved == nil {
		c.request(x.status, took, x.received, x.sent)
		return
	}
	c.request(x.status, took, 0, 0)
	c.open.Add(-1)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.upgraded, x.moved)
	c.bytes.AToB.Add(x.moved.AToB.Load())
	c.bytes.BToA.Add(x.moved.BToA.Load())
}

// moved is the bytes so far, with those of connections that are still open.
func (c *endpointMetrics) moved() (in, out int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	in, out = c.bytes.AToB.Load(), c.bytes.BToA.Load()
	for open := range c.upgraded {
		in += open.AToB.Load()
		out += open.BToA.Load()
	}
	return in, out
}

var (
	_ Subscriber = (*metrics)(nil)
	_ Follower   = (*endpointMetrics)(nil)
)
