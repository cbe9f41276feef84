package gateway

import (
	"context"
	"time"
)

// drainLook is how often it is looked whether everything is over.
const drainLook = 50 * time.Millisecond

// StopAccepting closes every port; connections that are open live on, and no connector is
// admitted any more.
func (r *Runtime) StopAccepting() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retired = true
	for _, g := range r.gateways {
		for k, e := range g.endpoints {
			if k.network == tcp { // a UDP port is where its flows are answered from
				e.stopAccepting()
			}
		}
	}
}

// stopAccepting closes the sockets: no consumer comes any more.
func (e *endpoint) stopAccepting() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.opened {
		s.close()
	}
}

// Drain waits until no TCP connection of a consumer is open, for most at most, or until
// ctx ends. UDP flows have no end to wait for.
func (r *Runtime) Drain(ctx context.Context, most time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for r.Visits() > 0 {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// Visits counts the TCP connections of consumers that are open.
func (r *Runtime) Visits() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.gateways {
		n += g.addresses.count(tcp)
	}
	return n
}

// Connectors counts those that are connected.
func (r *Runtime) Connectors() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, g := range r.gateways {
		n += len(g.connectors)
	}
	return n
}
