package edge

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// ports are the listeners of TCP endpoints.
type ports struct {
	edge *Edge
	mu   sync.Mutex
	open map[uint16]*openPort
}

type openPort struct {
	listener net.Listener
	users    int
	adopted  bool // from another process, and not served yet
}

// OpenPort listens on a TCP endpoint's port. Members of a pool share one listener:
// every call that succeeded needs one ClosePort. When nil is returned connections are
// already accepted. Errors are CodePortUnavailable.
func (e *Edge) OpenPort(port uint16) error {
	p := &e.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.open[port]; at != nil {
		at.users++
		return nil
	}
	if e.retired.Load() {
		return nil // the process that has taken over opens it, to which the endpoint is lent
	}
	host := ""
	if e.config.PortAddr.IsValid() {
		host = e.config.PortAddr.String()
	}
	var config net.ListenConfig // keep-alive on: a visitor that vanished is noticed
	ln, err := config.Listen(e.ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return postern.Errorf(postern.CodePortUnavailable, "TCP port %d cannot be listened on", port).Because(err)
	}
	if p.open == nil {
		p.open = make(map[uint16]*openPort)
	}
	p.open[port] = &openPort{listener: ln, users: 1}
	e.all.Go(func() { e.servePort(ln, port) })
	return nil
}

// ClosePort takes one user off a port; with the last one the listener is closed: at
// once, or if he may return after route.ReturnTime, in which visitors wait for him.
// Connections that are open live on. A port that is not open is ignored.
func (e *Edge) ClosePort(port uint16, mayReturn bool) {
	p := &e.ports
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.open[port]
	if at == nil {
		return
	}
	at.users = max(at.users-1, 0)
	switch {
	case at.users > 0:
	case mayReturn:
		time.AfterFunc(route.ReturnTime, func() { p.closeUnused(port, at) })
	default:
		p.close(port, at)
	}
}

// closeUnused closes the port unless somebody has come back to it.
func (p *ports) closeUnused(port uint16, at *openPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[port] == at && at.users == 0 {
		p.close(port, at)
	}
}

// close closes a port. mu is held.
func (p *ports) close(port uint16, at *openPort) {
	delete(p.open, port)
	_ = at.listener.Close()
}

func (e *Edge) servePort(ln net.Listener, port uint16) {
	l := listener{name: "tcp", proxied: e.config.ProxyProtocol.Ports, handle: func(v *visitor) { e.handlePort(v, port) }}
	if err := e.serve(context.Background(), ln, l); err != nil && !e.closedPort(port, ln) {
		e.logger.ErrorContext(e.ctx, "a TCP endpoint's listener failed", "port", port, "error", err)
	}
}

// closedPort tells whether ln was closed by ClosePort.
func (e *Edge) closedPort(port uint16, ln net.Listener) bool {
	e.ports.mu.Lock()
	defer e.ports.mu.Unlock()
	at := e.ports.open[port]
	return at == nil || at.listener != ln
}

// handlePort serves one visitor of a TCP endpoint. Nothing is read first: in many
// protocols the server speaks first.
func (e *Edge) handlePort(v *visitor, port uint16) {
	r := e.portRoute(port)
	if r == nil {
		e.metrics.rejected(rejectName)
		v.abort(&postern.Error{Code: postern.CodeEndpointOffline})
		return
	}
	first := v.Take() // what came with a PROXY header
	e.tunnel(v, v, first, r, false)
}
