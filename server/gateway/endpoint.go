package gateway

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
)

// endpoint is a port of a gateway that somebody offers, or offered a moment ago: the
// pool of connectors, and the sockets on which consumers come.
type endpoint struct {
	gateway *gateway
	key     key
	since   time.Time
	in, out atomic.Int64 // bytes from and to consumers

	mu      sync.Mutex
	members []*member
	next    int           // where the next search among equals begins
	changed chan struct{} // closed, and made anew, when members change or the endpoint closes
	closed  bool
	hold    *time.Timer // runs while there are no members
	opened  []*openSocket
	adopted bool      // from another process, and not served yet; Runtime.mu is held for it
	until   time.Time // consumers wait at least so long, after a hand-over
}

func (g *gateway) newEndpoint(k key) *endpoint {
	return &endpoint{gateway: g, key: k, since: time.Now(), changed: make(chan struct{})}
}

// open opens a port at all addresses of the gateway. Runtime.mu is held.
func (g *gateway) open(d *definition, k key) (*endpoint, *postern.Error) {
	e := g.newEndpoint(k)
	if why := e.listen(d); why != nil {
		return nil, why
	}
	g.endpoints[k] = e
	return e, nil
}

// others are the members with another target.
func (e *endpoint) others(target string) (others []*member) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range e.members {
		if m.target != target {
			others = append(others, m)
		}
	}
	return others
}

// join adds a member. Runtime.mu is held.
func (e *endpoint) join(m *member) {
	e.mu.Lock()
	first := len(e.members) == 0
	for _, other := range e.members {
		other.connector.suspect() // it may be a ghost of the one that comes
	}
	m.ctx, m.cancel = context.WithCancelCause(e.gateway.ctx)
	m.since = time.Now()
	e.members = append(e.members, m)
	if e.hold != nil {
		e.hold.Stop()
		e.hold = nil
	}
	e.wake()
	e.mu.Unlock()
	if first {
		e.gateway.runtime.changed(e.change(EndpointUp, m))
	}
}

// leave takes a member away. With the last one the endpoint waits for another, for the
// gateway's hold and for least, and is closed then. Runtime.mu is held.
func (e *endpoint) leave(m *member, least time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.members, m)
	if i < 0 {
		return
	}
	e.members = slices.Delete(e.members, i, i+1)
	m.departed.Store(true)
	m.settle()
	e.wake()
	if len(e.members) == 0 && !e.closed {
		wait := max(e.gateway.definition.Load().Hold, least, time.Until(e.until))
		e.hold = time.AfterFunc(wait, e.closeUnused)
	}
}

// closeUnused closes the endpoint unless somebody offers it again.
func (e *endpoint) closeUnused() {
	r := e.gateway.runtime
	r.mu.Lock()
	defer r.mu.Unlock()
	e.mu.Lock()
	used := len(e.members) > 0 || e.hold == nil
	e.mu.Unlock()
	if used || e.gateway.endpoints[e.key] != e {
		return
	}
	delete(e.gateway.endpoints, e.key)
	e.close()
	if !r.retired { // else another process has it
		r.changed(e.change(EndpointDown, nil))
	}
}

// close closes the sockets; who waits for a member waits no more. Runtime.mu is held.
func (e *endpoint) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	e.closed = true
	if e.hold != nil {
		e.hold.Stop()
		e.hold = nil
	}
	e.wake()
	for _, s := range e.opened {
		s.close()
	}
}

// wake lets those look again who wait. mu is held.
func (e *endpoint) wake() {
	close(e.changed)
	e.changed = make(chan struct{})
}

// take gives the best member that was not tried, whose stream it counts: the one with the
// fewest streams among the healthy, else among the others. Where there is none it waits
// for one until ctx ends, if patient.
func (e *endpoint) take(ctx context.Context, tried []*member, patient bool) (*member, *postern.Error) {
	for {
		e.mu.Lock()
		m, closed, changed := e.best(tried), e.closed, e.changed
		if m != nil {
			m.streams.Add(1)
		}
		e.mu.Unlock()
		switch {
		case m != nil:
			return m, nil
		case closed || !patient:
			return nil, e.notOffered()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, e.notOffered()
		}
	}
}

// patience is how long a consumer waits for a connector.
func (e *endpoint) patience() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return max(e.gateway.definition.Load().Hold, returnTime, time.Until(e.until))
}

// best is the member that is to have the next stream, nil for none. mu is held.
func (e *endpoint) best(tried []*member) *member {
	var best *member
	for i := range e.members {
		m := e.members[(e.next+i)%len(e.members)]
		if slices.Contains(tried, m) {
			continue
		}
		if best == nil || m.better(best) {
			best = m
		}
	}
	if best != nil {
		e.next++
	}
	return best
}

func (e *endpoint) notOffered() *postern.Error {
	return postern.Errorf(postern.CodeGatewayPortClosed, "no connector offers port %s of gateway %s", e.key, e.gateway.definition.Load().Name)
}

// list gives the members.
func (e *endpoint) list() []*member {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.members)
}
