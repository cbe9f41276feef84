package handover

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"

	"github.com/postern-dev/postern"
)

// Listener is one of a server's fixed listeners, or a socket for datagrams. One of
// Listener and Datagrams is there.
type Listener struct {
	Name    string // which one: https, http, …
	Address string // in the configuration
	net.Listener
	Datagrams *net.UDPConn
}

// Close closes the one that is there.
func (l Listener) Close() error {
	if l.Datagrams != nil {
		return l.Datagrams.Close()
	}
	return l.Listener.Close()
}

// Same tells whether two are the same socket.
func (l Listener) Same(other Listener) bool {
	return l.Listener == other.Listener && l.Datagrams == other.Datagrams
}

// socket is the one that is there.
func (l Listener) socket() any {
	if l.Datagrams != nil {
		return l.Datagrams
	}
	return l.Listener
}

// Giver is the running process's side of a hand-over.
type Giver struct {
	Release   string // of this program, for the other's log
	Listeners []Listener
	Lock      *os.File // of the data directory

	// Retire calls give with the sockets of the endpoints' ports, while no port can
	// be opened or closed. After give has returned nil this process must accept nothing
	// more, when Retire returns; after an error it goes on as before.
	Retire func(give func(PortSockets) error) error
}

// Give hands over to the process at the other end of conn, which it closes. It blocks
// until that serves, for some two minutes at most. After an error nothing has changed.
func (g Giver) Give(ctx context.Context, conn *net.UnixConn) error {
	w := &wire{conn: conn}
	defer w.close()
	err := g.give(ctx, w)
	if err != nil {
		w.refuse(err)
	}
	return err
}

func (g Giver) give(ctx context.Context, w *wire) error {
	if err := checkPeer(w.conn); err != nil {
		return err
	}
	hello, _, err := w.receive(ctx, kindHello, stepTime)
	if err != nil {
		return err
	}
	if hello.Version != Version {
		return postern.Errorf(postern.CodeHandOverRefused,
			"the new process speaks version %d of the hand-over and the running one version %d; restart the server instead", hello.Version, Version)
	}
	if err := g.offer(w); err != nil {
		return err
	}
	if _, _, err := w.receive(ctx, kindReady, readyTime); err != nil {
		return err
	}
	err = g.Retire(func(ports PortSockets) error {
		if err := givePorts(w, ports); err != nil {
			return err
		}
		_, _, err := w.receive(ctx, kindServing, stepTime)
		return err
	})
	if err != nil {
		return err
	}
	_ = w.send(message{Kind: kindDone}) // the other serves, whether it hears this or not
	return nil
}

// offer sends the fixed listeners and the lock.
func (g Giver) offer(w *wire) error {
	m := message{Kind: kindOffer, Version: Version, Release: g.Release, Lock: true}
	lock, err := duplicate(g.Lock)
	if err != nil {
		return err
	}
	files := []*os.File{lock}
	defer func() { closeAll(files) }()
	for _, ln := range g.Listeners {
		file, err := duplicateSocket(ln.socket())
		if err != nil {
			return err
		}
		files = append(files, file)
		m.Listeners = append(m.Listeners, listenerName{ln.Name, ln.Address, ln.Datagrams != nil})
	}
	return w.send(m, files...)
}

// PortSockets are the sockets of endpoints that are told apart by their port.
type PortSockets struct {
	TCP map[uint16]net.Listener
	UDP map[uint16]*net.UDPConn

	Gateways []GatewaySocket
}

// GatewaySocket is an open port of a private gateway. One of Listener and Conn is there.
type GatewaySocket struct {
	Gateway  string // its id
	At       netip.AddrPort
	Listener net.Listener
	Conn     *net.UDPConn
}

// socket is the one that is there.
func (g GatewaySocket) socket() interface{ Close() error } {
	if g.Conn != nil {
		return g.Conn
	}
	return g.Listener
}

// close closes all of them.
func (p PortSockets) close() {
	for _, ln := range p.TCP {
		_ = ln.Close()
	}
	for _, conn := range p.UDP {
		_ = conn.Close()
	}
	for _, one := range p.Gateways {
		_ = one.socket().Close()
	}
}

// givePorts sends the sockets of ports, some in a message.
func givePorts(w *wire, ports PortSockets) error {
	tcp, udp, gateways := slices.Sorted(maps.Keys(ports.TCP)), slices.Sorted(maps.Keys(ports.UDP)), ports.Gateways
	for {
		part := message{Kind: kindPorts}
		part.Ports = tcp[:min(len(tcp), mostDescriptors)]
		tcp = tcp[len(part.Ports):]
		part.Datagrams = udp[:min(len(udp), mostDescriptors-len(part.Ports))]
		udp = udp[len(part.Datagrams):]
		now := gateways[:min(len(gateways), mostDescriptors-len(part.Ports)-len(part.Datagrams))]
		gateways = gateways[len(now):]
		for _, one := range now {
			part.Gateways = append(part.Gateways, gatewayName{one.Gateway, one.At, one.Conn != nil})
		}
		part.More = len(tcp)+len(udp)+len(gateways) > 0
		if err := givePart(w, part, ports, now); err != nil || !part.More {
			return err
		}
	}
}

func givePart(w *wire, part message, ports PortSockets, gateways []GatewaySocket) error {
	var files []*os.File
	defer func() { closeAll(files) }()
	take := func(socket any) error {
		file, err := duplicateSocket(socket)
		if err == nil {
			files = append(files, file)
		}
		return err
	}
	for _, port := range part.Ports {
		if err := take(ports.TCP[port]); err != nil {
			return err
		}
	}
	for _, port := range part.Datagrams {
		if err := take(ports.UDP[port]); err != nil {
			return err
		}
	}
	for _, one := range gateways {
		if err := take(one.socket()); err != nil {
			return err
		}
	}
	return w.send(part, files...)
}

func duplicateSocket(socket any) (*os.File, error) {
	conn, ok := socket.(syscall.Conn)
	if !ok {
		return nil, errors.New("a listener has no descriptor")
	}
	return duplicate(conn)
}
