package handover

import (
	"context"
	"errors"
	"maps"
	"net"
	"os"
	"slices"
	"syscall"

	"github.com/postern-dev/postern"
)

// Listener is one of a server's fixed listeners.
type Listener struct {
	Name    string // which one: https, http, …
	Address string // in the configuration
	net.Listener
}

// Giver is the running process's side of a hand-over.
type Giver struct {
	Release   string // of this program, for the other's log
	Listeners []Listener
	Lock      *os.File // of the data directory

	// Retire calls give with the listeners of the TCP endpoints' ports, while no port can
	// be opened or closed. After give has returned nil this process must accept nothing
	// more, when Retire returns; after an error it goes on as before.
	Retire func(give func(ports map[uint16]net.Listener) error) error
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
	err = g.Retire(func(ports map[uint16]net.Listener) error {
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
		file, err := duplicateListener(ln.Listener)
		if err != nil {
			return err
		}
		files = append(files, file)
		m.Listeners = append(m.Listeners, listenerName{ln.Name, ln.Address})
	}
	return w.send(m, files...)
}

// givePorts sends the listeners of ports, some in a message.
func givePorts(w *wire, ports map[uint16]net.Listener) error {
	left := slices.Sorted(maps.Keys(ports))
	for {
		part := left[:min(len(left), mostDescriptors)]
		left = left[len(part):]
		if err := givePart(w, part, ports, len(left) > 0); err != nil || len(left) == 0 {
			return err
		}
	}
}

func givePart(w *wire, part []uint16, ports map[uint16]net.Listener, more bool) error {
	var files []*os.File
	defer func() { closeAll(files) }()
	for _, port := range part {
		file, err := duplicateListener(ports[port])
		if err != nil {
			return err
		}
		files = append(files, file)
	}
	return w.send(message{Kind: kindPorts, Ports: part, More: more}, files...)
}

func duplicateListener(ln net.Listener) (*os.File, error) {
	conn, ok := ln.(syscall.Conn)
	if !ok {
		return nil, errors.New("a listener has no descriptor")
	}
	return duplicate(conn)
}
