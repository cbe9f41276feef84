package gateway

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/relay/flow"
)

// Sockets opens ports for consumers.
type Sockets interface {
	// ListenTCP gives connections that are relay.Conns.
	ListenTCP(ctx context.Context, at netip.AddrPort) (net.Listener, error)
	ListenUDP(ctx context.Context, at netip.AddrPort) (net.PacketConn, error)
}

// machine is this machine's network.
type machine struct{}

func (machine) ListenTCP(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	config := keepsAlive() // a consumer that vanished is noticed
	return config.Listen(ctx, tcp, at.String())
}

func (machine) ListenUDP(ctx context.Context, at netip.AddrPort) (net.PacketConn, error) {
	var config net.ListenConfig
	return config.ListenPacket(ctx, udp, at.String())
}

// openSocket is a port that is open at one address: one of ln and conn is there.
type openSocket struct {
	at    netip.AddrPort
	ln    net.Listener   // of TCP
	conn  net.PacketConn // of UDP
	flows *flow.Server   // of conn, once it is served
}

func (s *openSocket) close() {
	if s.ln != nil {
		_ = s.ln.Close() // there is nobody to tell
	} else {
		_ = s.conn.Close()
	}
}

// listen opens the port at every address and serves it, or opens none. Runtime.mu is held.
func (e *endpoint) listen(d *definition) *postern.Error {
	r := e.gateway.runtime
	for _, addr := range d.Listen {
		one, err := &openSocket{at: netip.AddrPortFrom(addr, e.key.port)}, error(nil)
		if e.key.network == tcp {
			one.ln, err = r.config.Sockets.ListenTCP(r.ctx, one.at)
		} else {
			one.conn, err = r.config.Sockets.ListenUDP(r.ctx, one.at)
		}
		if err != nil {
			e.close()
			return cannotListen(one.at, e.key, err)
		}
		e.opened = append(e.opened, one)
	}
	e.serve()
	return nil
}

// serve takes consumers from every socket. Runtime.mu is held.
func (e *endpoint) serve() {
	for _, one := range e.opened {
		if one.ln != nil {
			e.gateway.runtime.start(func() { e.accept(one.ln) })
			continue
		}
		one.flows = e.newFlows(one.conn)
		e.gateway.runtime.start(func() { e.receive(one) })
	}
}

// cannotListen says why a port cannot be opened.
func cannotListen(at netip.AddrPort, k key, err error) *postern.Error {
	reason := err.Error()
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		reason = "another program of the server's machine has it"
	case errors.Is(err, syscall.EACCES):
		reason = "the server may not open ports below 1024"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		reason = "the server's machine does not have the address"
	}
	return postern.Errorf(postern.CodeGatewayAddressInUse, "the gateway's address %s/%s cannot be listened on: %s", at, k.network, reason).Because(err)
}

// accept takes consumers until the listener is closed.
func (e *endpoint) accept(ln net.Listener) {
	const shortest, longest = 5 * time.Millisecond, time.Second
	var pause time.Duration
	r := e.gateway.runtime
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			e.admit(conn)
			continue
		case errors.Is(err, net.ErrClosed) || r.ctx.Err() != nil:
			return
		}
		pause = min(max(2*pause, shortest), longest)
		r.log.Warn("a gateway's port takes no connections for a moment", "gateway", e.gateway.definition.Load().ID, "port", e.key.String(), "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-r.ctx.Done():
			return
		}
	}
}

// admit gives a consumer's connection a goroutine.
func (e *endpoint) admit(conn net.Conn) {
	r := e.gateway.runtime
	c, ok := conn.(relay.Conn)
	if !ok {
		_ = conn.Close()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.brief(func() { e.visit(c) }) {
		relay.Abort(conn, postern.Errorf(postern.CodeLinkDraining, "the server is stopping"))
	}
}
