package handover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/postern-dev/postern"
)

// Taker is the newcomer's side of a hand-over: Ask, then Ports, then Serving. Until
// Serving the running process can be left alone at any time with Close.
type Taker struct {
	wire *wire

	// Release is the running program's.
	Release string
	// Listeners are the running process's fixed ones. Who does not use one closes it.
	Listeners []Listener
	// Lock is the data directory's: as long as one of the two processes has it open nobody
	// else can use the directory.
	Lock *os.File
}

// Ask asks the running process at the other end of conn to hand over. It owns conn.
func Ask(ctx context.Context, conn *net.UnixConn, release string) (*Taker, error) {
	t := &Taker{wire: &wire{conn: conn}}
	if err := t.ask(ctx, release); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func (t *Taker) ask(ctx context.Context, release string) error {
	if err := checkPeer(t.wire.conn); err != nil {
		return err
	}
	if err := t.wire.send(message{Kind: kindHello, Version: Version, Release: release}); err != nil {
		return unfinished(err)
	}
	offer, files, err := t.wire.receive(ctx, kindOffer, stepTime)
	if err != nil {
		return unfinished(err)
	}
	if !offer.Lock {
		closeAll(files)
		return unreadable(fmt.Errorf("the lock is missing"))
	}
	t.Release, t.Lock = offer.Release, files[0]
	t.Listeners, err = fixedOf(offer.Listeners, files[1:])
	return err
}

// fixedOf makes the fixed listeners of descriptors, which are closed; on error those that
// were made are returned too.
func fixedOf(names []listenerName, files []*os.File) (all []Listener, err error) {
	defer closeAll(files)
	for i, name := range names {
		one := Listener{Name: name.Name, Address: name.Address}
		if name.UDP {
			one.Datagrams, err = datagramSocket(files[i])
		} else if one.Listener, err = net.FileListener(files[i]); err != nil {
			err = fmt.Errorf("use a listener that was handed over: %w", err)
		}
		if err != nil {
			return all, err
		}
		all = append(all, one)
	}
	return all, nil
}

// listenersOf makes listeners of descriptors, which are closed; on error those that
// were made are returned too.
func listenersOf(files []*os.File) (listeners []net.Listener, err error) {
	defer closeAll(files)
	for _, file := range files {
		ln, err := net.FileListener(file)
		if err != nil {
			return listeners, fmt.Errorf("use a listener that was handed over: %w", err)
		}
		listeners = append(listeners, ln)
	}
	return listeners, nil
}

// Ports says that all is ready, and receives the sockets of the endpoints' ports. From now
// on the running process opens and closes none, so Serving must follow within seconds.
func (t *Taker) Ports(ctx context.Context) (PortSockets, error) {
	if err := t.wire.send(message{Kind: kindReady}); err != nil {
		return PortSockets{}, unfinished(err)
	}
	ports := PortSockets{TCP: make(map[uint16]net.Listener), UDP: make(map[uint16]*net.UDPConn)}
	for {
		m, files, err := t.wire.receive(ctx, kindPorts, stepTime)
		if err == nil {
			err = ports.take(m, files)
		}
		if err != nil {
			ports.close()
			return PortSockets{}, unfinished(err)
		}
		if !m.More {
			return ports, nil
		}
	}
}

// take adds the sockets of a message. It closes the descriptors.
func (p *PortSockets) take(m message, files []*os.File) error {
	listeners, err := listenersOf(files[:len(m.Ports)])
	for i, ln := range listeners {
		p.TCP[m.Ports[i]] = ln
	}
	rest := files[len(m.Ports):]
	defer closeAll(rest)
	if err != nil {
		return err
	}
	for i, file := range rest[:len(m.Datagrams)] {
		if p.UDP[m.Datagrams[i]], err = datagramSocket(file); err != nil {
			delete(p.UDP, m.Datagrams[i])
			return err
		}
	}
	for i, file := range rest[len(m.Datagrams):] {
		one := GatewaySocket{Gateway: m.Gateways[i].Gateway, At: m.Gateways[i].At}
		if m.Gateways[i].UDP {
			one.Conn, err = datagramSocket(file)
		} else {
			one.Listener, err = net.FileListener(file)
		}
		if err != nil {
			return fmt.Errorf("use a gateway's socket that was handed over: %w", err)
		}
		p.Gateways = append(p.Gateways, one)
	}
	return nil
}

func datagramSocket(file *os.File) (*net.UDPConn, error) {
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return nil, fmt.Errorf("use a socket that was handed over: %w", err)
	}
	udp, ok := conn.(*net.UDPConn)
	if !ok {
		_ = conn.Close()
		return nil, unreadable(fmt.Errorf("a socket that was handed over is not of UDP"))
	}
	return udp, nil
}

// Serving says that this process accepts, upon which the other stops. An error means
// that it did not confirm that. Where it has given the hand-over up meanwhile, because
// this process was too slow, goesOn is true: it is still the server, and this process
// must end. Else it may have ended at this very moment, and this process is the server.
func (t *Taker) Serving(ctx context.Context) (goesOn bool, err error) {
	defer t.wire.close()
	// Where this fails, the other's refusal may wait to be read all the same.
	failed := t.wire.send(message{Kind: kindServing})
	if _, _, err := t.wire.receive(ctx, kindDone, stepTime); err != nil {
		_, goesOn = errors.AsType[refusal](err)
		if failed != nil && !goesOn {
			err = failed
		}
		return goesOn, unfinished(err)
	}
	return false, nil
}

// Close gives the hand-over up, unless Serving was called, and closes the fixed listeners
// and the lock.
func (t *Taker) Close() {
	t.wire.close()
	for _, ln := range t.Listeners {
		_ = ln.Close()
	}
	if t.Lock != nil {
		_ = t.Lock.Close()
	}
}

func unfinished(err error) error {
	if coded, ok := errors.AsType[*postern.Error](err); ok {
		return coded
	}
	return postern.Errorf(postern.CodeHandOverRefused, "the running server did not finish the hand-over: %v", err).Because(err)
}
