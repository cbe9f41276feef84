package edge

import (
	"net"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// PortSockets are the sockets of endpoints that are told apart by their port.
type PortSockets struct {
	TCP map[uint16]net.Listener
	UDP map[uint16]*net.UDPConn
}

// HandOver calls give with the sockets of the endpoints' ports, while none is opened or
// closed. When give returns nil another process accepts from now on, and the edge
// retires: it closes its listeners and goes on serving the connections and flows that it
// has. Each HTTP connection ends with its next answer, or when it has been idle for as
// long as it may; everything else ends by itself. What comes from the source of a flow
// that is left here is the other process's, which makes a flow of its own for it, so
// that a service sees a new source port; answers that are due still leave for a moment.
// After an error nothing has changed.
func (e *Edge) HandOver(give func(PortSockets) error) error {
	p := &e.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	open := PortSockets{TCP: make(map[uint16]net.Listener), UDP: make(map[uint16]*net.UDPConn)}
	for key, at := range p.open {
		switch socket := at.socket.(type) {
		case *datagramPort:
			open.UDP[key.port] = socket.conn
		case net.Listener:
			open.TCP[key.port] = socket
		}
	}
	if err := give(open); err != nil {
		return err
	}
	e.retired.Store(true)
	for key, at := range p.open {
		if socket, ok := at.socket.(*datagramPort); ok && !at.adopted {
			delete(p.open, key)
			socket.server.Retire(lastAnswersTime) // which closes the socket then
			continue
		}
		p.close(key, at)
	}
	e.closeListeners(false)
	return nil
}

// lastAnswersTime is how long the flows that are left in a process send answers. The
// socket is not kept for longer: should the process that has taken over crash, the next
// one needs the port.
const lastAnswersTime = 2 * time.Second

// AdoptPorts takes over the sockets of endpoints' ports. Nobody is accepted before
// ServeAdopted.
func (e *Edge) AdoptPorts(sockets PortSockets) {
	p := &e.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	for port, ln := range sockets.TCP {
		p.put(portKey{postern.TCP, port}, &openPort{socket: ln, adopted: true})
	}
	for port, conn := range sockets.UDP {
		p.put(portKey{postern.UDP, port}, &openPort{socket: e.newDatagramPort(conn, port), adopted: true})
	}
}

// ServeAdopted serves the ports that were adopted. Those that nobody has opened are
// closed if nobody does so within route.ReturnTime.
func (e *Edge) ServeAdopted() {
	p := &e.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, at := range p.open {
		if !at.adopted {
			continue
		}
		at.adopted = false
		e.servePort(at.socket, key)
		if at.users == 0 {
			time.AfterFunc(route.ReturnTime, func() { p.closeUnused(key, at) })
		}
	}
}

// closeAdopted closes the ports that were adopted and are not served.
func (p *ports) closeAdopted() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, at := range p.open {
		if at.adopted {
			p.close(key, at)
		}
	}
}

// Visitors counts the connections and flows that are open, agents' excepted.
func (e *Edge) Visitors() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.visitors) - e.agents.Count() + int(e.flows.Open.Load())
}

// lastAnswers tells whether each answer is to be its connection's last.
func (e *Edge) lastAnswers() bool { return e.draining.Load() || e.retired.Load() }
