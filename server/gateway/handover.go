package gateway

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	// moveTime is how long consumers wait at least, after another process has taken over,
	// for the connectors to come over.
	moveTime = 15 * time.Second
	// cutTime is how long a connector that cannot move may go on for the connections that
	// it has; consumers of its ports wait meanwhile.
	cutTime = 2 * time.Second
	// nativeTime is how long a connector that can move has to make its new session.
	nativeTime = time.Second
	leaveLook  = 50 * time.Millisecond
)

// Socket is an open port of a gateway, for another process. One of Listener and Conn is
// there.
type Socket struct {
	Gateway  string // its id
	At       netip.AddrPort
	Listener net.Listener
	Conn     *net.UDPConn
}

// HandOver calls give with all open ports, while none is opened or closed. When it returns
// nil another process serves them from now on: this one admits no connector and no
// consumer any more, and goes on serving the connections and flows that it has. After an
// error nothing has changed.
func (r *Runtime) HandOver(give func([]Socket) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []Socket
	for id, g := range r.gateways {
		for _, e := range g.endpoints {
			for _, one := range e.opened {
				conn, _ := one.conn.(*net.UDPConn)
				all = append(all, Socket{Gateway: id, At: one.at, Listener: one.ln, Conn: conn})
			}
		}
	}
	if err := give(all); err != nil {
		return err
	}
	r.retired = true
	for _, g := range r.gateways {
		for _, e := range g.endpoints {
			e.retire()
		}
	}
	return nil
}

// retire leaves the sockets to another process.
func (e *endpoint) retire() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, one := range e.opened {
		if one.flows != nil {
			one.flows.Retire(moveTime) // receive closes the socket after the last flow
		} else {
			one.close()
		}
	}
}

// Adopt takes over the ports of another process. Nobody is served before ServeAdopted.
// What no gateway has is closed.
func (r *Runtime) Adopt(sockets []Socket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.table.Load()
	for _, one := range sockets {
		s := &openSocket{at: one.At, ln: one.Listener}
		k := key{tcp, one.At.Port()}
		if one.Conn != nil {
			s.conn, k.network = one.Conn, udp
		}
		d := t.byID[one.Gateway]
		if d == nil || !slices.Contains(d.Listen, one.At.Addr()) {
			s.close()
			continue
		}
		g := r.gateway(d)
		e := g.endpoints[k]
		if e == nil {
			e = g.newEndpoint(k)
			e.adopted = true
			g.endpoints[k] = e
		}
		e.opened = append(e.opened, s)
	}
}

// ServeAdopted serves the ports that were adopted. They are kept for the connectors to
// come over.
func (r *Runtime) ServeAdopted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.gateways {
		for k, e := range g.endpoints {
			if !e.adopted {
				continue
			}
			e.adopted = false
			if len(e.opened) != len(g.definition.Load().Listen) { // some are missing: the next connector has them opened
				delete(g.endpoints, k)
				e.close()
				continue
			}
			e.mu.Lock()
			e.until = time.Now().Add(moveTime)
			e.hold = time.AfterFunc(moveTime, e.closeUnused)
			e.mu.Unlock()
			e.serve()
		}
	}
}

// Leave has every connector go over to the process that has taken over, spread over the
// given time, and returns when all have gone or ctx ends. Connectors that cannot move are
// told to connect again, once nothing is open through them or cutTime has passed.
func (r *Runtime) Leave(ctx context.Context, over time.Duration) {
	r.mu.Lock()
	var all []*connector
	for _, g := range r.gateways {
		for c := range g.connectors {
			all = append(all, c)
		}
	}
	left := make(chan struct{}, len(all))
	for i, c := range all {
		if !r.start(func() {
			defer func() { left <- struct{}{} }()
			rest(ctx, over*time.Duration(i)/time.Duration(len(all)))
			c.leave(ctx)
		}) {
			left <- struct{}{}
		}
	}
	r.mu.Unlock()
	for range all {
		<-left
	}
}

// leave ends the session when its connections are over, or may be cut.
func (c *connector) leave(ctx context.Context) {
	why := postern.Errorf(postern.CodeLinkDraining, "another process of the server has taken over; connect again")
	quiet, cancel := ctx, func() {}
	if m, ok := c.session.(link.Mover); ok && m.AskToMove() {
		rest(ctx, nativeTime)
		c.session.Drain()
	} else {
		quiet, cancel = context.WithTimeout(ctx, cutTime)
	}
	defer cancel()
	for c.session.Streams() > 0 && quiet.Err() == nil {
		select {
		case <-c.session.Done():
			return
		default:
		}
		rest(quiet, leaveLook)
	}
	c.session.Close(why)
}

// rest waits for d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
