package edge

import (
	"context"
	"io"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// ports are the sockets of tcp and udp endpoints.
type ports struct {
	edge *Edge
	mu   sync.Mutex
	open map[portKey]*openPort
}

// portKey says which port: tcp and udp of one number are two ports.
type portKey struct {
	scheme postern.Scheme
	port   uint16
}

type openPort struct {
	socket  io.Closer // a net.Listener, or a *datagramPort
	users   int
	adopted bool // from another process, and not served yet
}

// OpenPort listens on the port of a tcp or udp endpoint. Members of a pool share one
// socket: every call that succeeded needs one ClosePort. When nil is returned
// connections and datagrams are already accepted. Errors are CodePortUnavailable.
func (e *Edge) OpenPort(scheme postern.Scheme, port uint16) error {
	p, key := &e.ports, portKey{scheme, port}
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.open[key]; at != nil {
		at.users++
		return nil
	}
	if e.retired.Load() {
		return nil // the process that has taken over opens it, to which the endpoint is lent
	}
	socket, err := e.listenPort(key)
	if err != nil {
		return err
	}
	p.put(key, &openPort{socket: socket, users: 1})
	e.servePort(socket, key)
	return nil
}

func (e *Edge) listenPort(key portKey) (io.Closer, error) {
	host := ""
	if e.config.PortAddr.IsValid() {
		host = e.config.PortAddr.String()
	}
	at := net.JoinHostPort(host, strconv.Itoa(int(key.port)))
	var config net.ListenConfig // keep-alive on: a visitor that vanished is noticed
	if key.scheme == postern.UDP {
		conn, err := config.ListenPacket(e.ctx, "udp", at)
		if err != nil {
			return nil, postern.Errorf(postern.CodePortUnavailable, "UDP port %d cannot be listened on", key.port).Because(err)
		}
		return e.newDatagramPort(conn.(*net.UDPConn), key.port), nil
	}
	ln, err := config.Listen(e.ctx, "tcp", at)
	if err != nil {
		return nil, postern.Errorf(postern.CodePortUnavailable, "TCP port %d cannot be listened on", key.port).Because(err)
	}
	return ln, nil
}

// ClosePort takes one user off a port; with the last one the socket is closed: at once,
// or if he may return after route.ReturnTime, in which visitors wait for him.
// Connections that are open live on; flows end with the socket that their answers leave
// from. A port that is not open is ignored.
func (e *Edge) ClosePort(scheme postern.Scheme, port uint16, mayReturn bool) {
	p, key := &e.ports, portKey{scheme, port}
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.open[key]
	if at == nil {
		return
	}
	at.users = max(at.users-1, 0)
	switch {
	case at.users > 0:
	case mayReturn:
		time.AfterFunc(route.ReturnTime, func() { p.closeUnused(key, at) })
	default:
		p.close(key, at)
	}
}

// put notes that a port is open. mu is held.
func (p *ports) put(key portKey, at *openPort) {
	if p.open == nil {
		p.open = make(map[portKey]*openPort)
	}
	p.open[key] = at
}

// closeUnused closes the port unless somebody has come back to it.
func (p *ports) closeUnused(key portKey, at *openPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[key] == at && at.users == 0 {
		p.close(key, at)
	}
}

// close closes a port. mu is held.
func (p *ports) close(key portKey, at *openPort) {
	delete(p.open, key)
	_ = at.socket.Close()
}

// servePort has a socket served until it is closed.
func (e *Edge) servePort(socket io.Closer, key portKey) {
	e.all.Go(func() {
		var err error
		switch socket := socket.(type) {
		case *datagramPort:
			err = socket.serve()
		case net.Listener:
			err = e.serve(context.Background(), socket, listener{name: "tcp", proxied: e.config.ProxyProtocol.Ports, handle: func(v *visitor) { e.handlePort(v, key.port) }})
		}
		if err != nil && !e.closedPort(key, socket) {
			e.logger.ErrorContext(e.ctx, "an endpoint's port failed", "scheme", key.scheme, "port", key.port, "error", err)
		}
	})
}

// closedPort tells whether the socket was closed by ClosePort.
func (e *Edge) closedPort(key portKey, socket io.Closer) bool {
	e.ports.mu.Lock()
	defer e.ports.mu.Unlock()
	at := e.ports.open[key]
	return at == nil || at.socket != socket
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
