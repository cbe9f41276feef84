package access

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/postern-dev/postern/agent/access/socks5"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay/flow"
)

const (
	// mostDestinations is how many ports one association may reach at a time, waiting
	// how many datagrams each may hold while its stream opens or is slow.
	mostDestinations = 64
	waiting          = 64

	// flowIdle ends a destination of an association in which nothing moves.
	flowIdle = time.Minute
)

// associate serves UDP ASSOCIATE: a socket for this client alone, as long as its
// connection lives.
func (c *client) associate(expected socks5.Address) {
	local, isTCP := c.conn.LocalAddr().(*net.TCPAddr)
	remote, _ := c.conn.RemoteAddr().(*net.TCPAddr)
	if !isTCP || remote == nil {
		c.answer(socks5.Failure)
		return
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: local.IP, Zone: local.Zone})
	if err != nil {
		c.answer(socks5.Failure)
		return
	}
	defer socket.Close()
	bound := socket.LocalAddr().(*net.UDPAddr).AddrPort()
	if !c.write(socks5.AppendReply(nil, socks5.Succeeded, bound)) || !c.released() {
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	a := &association{
		access: c.door.access, socket: socket, ctx: ctx,
		client:       remote.AddrPort().Addr().Unmap(),
		port:         expected.Port,
		destinations: make(map[link.GatewayPort]*destination),
	}
	stop := context.AfterFunc(ctx, func() {
		_ = socket.Close()
		_ = c.conn.SetReadDeadline(time.Unix(1, 0))
	})
	defer stop()
	var receiving sync.WaitGroup
	receiving.Go(func() {
		defer cancel()
		a.receive()
	})
	_, _ = io.Copy(io.Discard, c.conn) // its end is the association's (RFC 1928 §6)
	cancel()
	receiving.Wait()
	a.flows.Wait()
}

// association is the UDP relay of one client.
type association struct {
	access *Access
	socket *net.UDPConn
	ctx    context.Context
	client netip.Addr // who may send
	flows  sync.WaitGroup

	mu           sync.Mutex
	port         uint16 // that he sends from; 0 before his first datagram
	peer         netip.AddrPort
	destinations map[link.GatewayPort]*destination
}

// receive takes the client's datagrams, and drops everybody else's and what is for
// nobody.
func (a *association) receive() {
	buffer := make([]byte, flow.MaxDatagram+1)
	for {
		n, from, err := a.socket.ReadFromUDPAddrPort(buffer)
		if err != nil {
			if a.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			continue // the report of a reply that nobody took
		}
		if !a.isClient(from) {
			continue
		}
		to, payload, err := socks5.ParseDatagram(buffer[:n])
		if err != nil || !isName(to.Name) {
			continue
		}
		p, err := a.access.names.find(udp, to.Name, to.Port)
		if err != nil {
			continue
		}
		a.destination(p, to).push(payload)
	}
}

// isClient lets the client's address in, and of its ports the one that it has named or
// that came first.
func (a *association) isClient(from netip.AddrPort) bool {
	if from.Addr().Unmap() != a.client {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.port == 0 {
		a.port = from.Port()
	}
	if a.port != from.Port() {
		return false
	}
	a.peer = from
	return true
}

// destination finds or makes the flow to a port; nil where there are too many.
func (a *association) destination(p link.GatewayPort, named socks5.Address) *destination {
	a.mu.Lock()
	defer a.mu.Unlock()
	d := a.destinations[p]
	if d != nil || len(a.destinations) >= mostDestinations {
		return d
	}
	d = &destination{Conn: a.socket, association: a, named: named, queue: make(chan []byte, waiting), ended: make(chan struct{})}
	a.destinations[p] = d
	a.flows.Go(func() { d.run(p) })
	return d
}

// destination is one port that an association reaches, as the connected socket that
// flow.Relay joins with a stream: Read gives what the client sends there, Write goes to
// the client. The socket is the association's.
type destination struct {
	net.Conn    // the socket, for its addresses
	association *association
	named       socks5.Address // as the client called it
	queue       chan []byte
	ending      sync.Once
	ended       chan struct{}
}

// push queues a datagram; a full queue drops it.
func (d *destination) push(payload []byte) {
	if d == nil {
		return
	}
	select {
	case d.queue <- append([]byte(nil), payload...):
	default:
	}
}

// run relays until the association ends or nothing moves.
func (d *destination) run(p link.GatewayPort) {
	a := d.association
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.destinations, p)
	}()
	ctx, cancel := context.WithTimeout(a.ctx, dialPatience)
	st, err := a.access.config.Dialer.DialEarly(ctx, p)
	cancel()
	if err != nil {
		a.access.refused(a.ctx, p, err)
		pause(a.ctx, time.Second) // what comes meanwhile is dropped
		return
	}
	r := flow.Relay(a.ctx, st, d, flow.Options{Idle: flowIdle})
	// Here the stream is what sends to the socket: out is what came from the gateway.
	a.access.flowEnded(p, r)
	if r.Why == flow.Failed {
		pause(a.ctx, time.Second)
	}
}

// Read gives the next datagram of the client.
func (d *destination) Read(p []byte) (int, error) {
	select {
	case payload := <-d.queue:
		return copy(p, payload), nil
	case <-d.ended:
		return 0, net.ErrClosed
	}
}

// Write sends a datagram to the client, with where it is from.
func (d *destination) Write(p []byte) (int, error) {
	d.association.mu.Lock()
	peer := d.association.peer
	d.association.mu.Unlock()
	if _, err := d.association.socket.WriteToUDPAddrPort(socks5.AppendDatagram(nil, d.named, p), peer); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close ends the destination; the socket stays the association's.
func (d *destination) Close() error {
	d.ending.Do(func() { close(d.ended) })
	return nil
}
