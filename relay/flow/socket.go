package flow

import (
	"errors"
	"net"
	"net/netip"
	"time"
)

// batchSize is how many datagrams one system call moves at most.
const batchSize = 16

// peer is whom a datagram came from, and which of our addresses it was sent to. Local is
// not valid where the socket is bound to one address, or the system does not say.
type peer struct {
	remote netip.AddrPort
	local  netip.Addr
}

// socket moves datagrams in batches. One goroutine may receive; any may send.
type socket interface {
	// receive blocks until there are datagrams, and hands each to take; a payload is
	// valid during the call. An error that concerns one datagram that was sent earlier
	// is one for which unreachable holds; the socket can be used further.
	receive(take func(from peer, payload []byte)) error

	// send sends datagrams to one peer; the zero peer is that of a connected socket.
	// It blocks while the system's buffer is full. The error is that of a socket that
	// is closed or past its deadline: what one datagram meets is in the tally.
	send(to peer, payloads [][]byte) (tally, error)
}

// losing is a socket that may know how many datagrams the system had no room for.
type losing interface{ lost() (n uint32, ok bool) }

// lossLook is how often that is asked while datagrams come.
const lossLook = time.Second

// losses counts what a socket loses from watch on.
type losses struct {
	from   losing // nil where nobody knows
	seen   uint32
	looked time.Duration
}

func watch(s socket) losses {
	from, _ := s.(losing)
	l := losses{from: from}
	if from != nil {
		l.seen, _ = from.lost()
	}
	return l
}

// count looks again, at most once in lossLook, unless it is for the last time.
func (l *losses) count(c *Counters, now time.Duration, last bool) {
	if l.from == nil || now-l.looked < lossLook && !last {
		return
	}
	l.looked = now
	if lost, ok := l.from.lost(); ok {
		c.drop(DropSystem, int(lost-l.seen)) // the system's counter has 32 bits and goes round
		l.seen = lost
	}
}

// mostTries bounds how often one datagram is tried while reports about earlier ones come.
const mostTries = 4

// tally is what became of datagrams that were to be sent.
type tally struct {
	datagrams, bytes int // that the network took
	failed           int // that it did not
	unreachable      int // reports that earlier ones did not arrive
}

// send sends one datagram by a call of its own. A report about an earlier one is handed
// out in place of sending, and once only: the datagram is worth another try. It gives
// back an error that concerns the socket.
func (t *tally) send(payload []byte, write func([]byte) error) error {
	err := write(payload)
	for tries := 1; unreachable(err) && tries < mostTries; tries++ {
		t.unreachable++
		err = write(payload)
	}
	switch {
	case err == nil:
		t.datagrams++
		t.bytes += len(payload)
	case errors.Is(err, net.ErrClosed), isTimeout(err):
		return err
	default:
		t.failed++
	}
	return nil
}

func (t tally) into(c *Counters) {
	c.went(t.datagrams, t.bytes)
	c.drop(DropSend, t.failed)
	c.drop(DropUnreachable, t.unreachable)
}

// unreachable tells whether the network reported on an earlier datagram that it did not
// arrive (RFC 1122, 4.1.3.3): nothing that ends a flow, the service may come back.
func unreachable(err error) bool {
	for _, e := range reports() {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// plain is a socket of any system, one call a datagram.
type plain struct {
	conn   net.PacketConn
	buffer [largeBuffer]byte
}

func (p *plain) receive(take func(peer, []byte)) error {
	n, from, err := p.conn.ReadFrom(p.buffer[:])
	if err != nil {
		return err
	}
	take(peer{remote: addrPort(from)}, p.buffer[:n])
	return nil
}

func (p *plain) send(to peer, payloads [][]byte) (t tally, err error) {
	address := net.UDPAddrFromAddrPort(to.remote)
	for _, payload := range payloads {
		if err := t.send(payload, func(b []byte) error { _, err := p.conn.WriteTo(b, address); return err }); err != nil {
			return t, err
		}
	}
	return t, nil
}

// addrPort is an address in the form of which there is one only.
func addrPort(a net.Addr) netip.AddrPort {
	if u, ok := a.(*net.UDPAddr); ok {
		return unmapped(u.AddrPort())
	}
	ap, _ := netip.ParseAddrPort(a.String())
	return unmapped(ap)
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// connected is a connected socket of any system. Each Read of conn is a datagram.
type connected struct {
	conn   net.Conn
	buffer [largeBuffer]byte
}

func (c *connected) receive(take func(peer, []byte)) error {
	n, err := c.conn.Read(c.buffer[:])
	if err != nil {
		return err
	}
	take(peer{}, c.buffer[:n])
	return nil
}

func (c *connected) send(_ peer, payloads [][]byte) (t tally, err error) {
	for _, payload := range payloads {
		if err := t.send(payload, func(b []byte) error { _, err := c.conn.Write(b); return err }); err != nil {
			return t, err
		}
	}
	return t, nil
}

// open wraps a listening socket.
func open(conn net.PacketConn) socket {
	if udp, ok := conn.(*net.UDPConn); ok {
		if s := batched(udp, false); s != nil {
			return s
		}
	}
	return &plain{conn: conn}
}

// openConnected wraps a connected socket.
func openConnected(conn net.Conn) socket {
	if udp, ok := conn.(*net.UDPConn); ok {
		if s := batched(udp, true); s != nil {
			return s
		}
	}
	return &connected{conn: conn}
}
