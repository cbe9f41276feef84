package edge

import (
	"net"
	"time"

	"github.com/postern-dev/postern/server/route"
)

// HandOver calls give with the listeners of the TCP endpoints' ports, while none is
// opened or closed. When give returns nil another process accepts from now on, and the
// edge retires: it closes its listeners and goes on serving the connections that it
// has. Each HTTP connection ends with its next answer, or when it has been idle for as
// long as it may; everything else ends by itself. After an error nothing has changed.
func (e *Edge) HandOver(give func(ports map[uint16]net.Listener) error) error {
	p := &e.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	open := make(map[uint16]net.Listener, len(p.open))
	for port, at := range p.open {
		open[port] = at.listener
	}
	if err := give(open); err != nil {
		return err
	}
	e.retired.Store(true)
	for port, at := range p.open {
		p.close(port, at)
	}
	e.closeListeners(false)
	return nil
}

// AdoptPort takes over the listener of a TCP endpoint's port. Nobody is accepted before
// ServeAdopted.
func (e *Edge) AdoptPort(port uint16, ln net.Listener) {
	p := &e.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = make(map[uint16]*openPort)
	}
	p.open[port] = &openPort{listener: ln, adopted: true}
}

// ServeAdopted serves the ports that were adopted. Those that nobody has opened are
// closed if nobody does so within route.ReturnTime.
func (e *Edge) ServeAdopted() {
	p := &e.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	for port, at := range p.open {
		if !at.adopted {
			continue
		}
		at.adopted = false
		e.all.Go(func() { e.servePort(at.listener, port) })
		if at.users == 0 {
			time.AfterFunc(route.ReturnTime, func() { p.closeUnused(port, at) })
		}
	}
}

// closeAdopted closes the ports that were adopted and are not served.
func (p *ports) closeAdopted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for port, at := range p.open {
		if at.adopted {
			p.close(port, at)
		}
	}
}

// Visitors counts the connections that are open, agents' excepted.
func (e *Edge) Visitors() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.visitors) - int(e.agents.Load())
}

// lastAnswers tells whether each answer is to be its connection's last.
func (e *Edge) lastAnswers() bool { return e.draining.Load() || e.retired.Load() }
