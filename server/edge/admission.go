package edge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
)

// admission counts connections, all and per address.
type admission struct {
	mu    sync.Mutex
	total int
	by    map[netip.Addr]int
}

func newAdmission() *admission { return &admission{by: make(map[netip.Addr]int)} }

// Reasons for which a connection is turned away, also labels in metrics.
const (
	rejectTotal      = "connections"
	rejectAddress    = "connections_per_address"
	rejectPeer       = "untrusted_peer"
	rejectProxy      = "proxy_header"
	rejectFirst      = "first_bytes"
	rejectHandshake  = "handshake"
	rejectName       = "unknown_name"
	rejectFiles      = "file_descriptors"
	rejectMemory     = "memory"
	rejectWaiting    = "memory_waiting" // was served before, see Relieve
	rejectLimit      = "limit"          // of an account or credential
	rejectRestricted = "ip_restriction"
	rejectPolicy     = "policy" // before TLS has ended
)

// group is the unit of the per-address cap: an IPv4 address, or the /64 that one
// IPv6 customer has at least.
func group(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return addr
}

// enter takes a place among all, and leave gives it back.
func (a *admission) enter(most int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= most {
		return false
	}
	a.total++
	return true
}

func (a *admission) leave() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.total--
}

// enterAddress takes a place of an address, and leaveAddress gives it back.
func (a *admission) enterAddress(addr netip.Addr, most int) bool {
	addr = group(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by[addr] >= most {
		return false
	}
	a.by[addr]++
	return true
}

func (a *admission) leaveAddress(addr netip.Addr) {
	addr = group(addr)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.by[addr]--; a.by[addr] <= 0 {
		delete(a.by, addr)
	}
}

// listener is one accept loop.
type listener struct {
	name    string
	proxied bool           // a PROXY header comes first
	handle  func(*visitor) // owns the visitor
}

// serve accepts until ctx ends or the listener is closed by Shutdown.
func (e *Edge) serve(ctx context.Context, ln net.Listener, l listener) error {
	defer ln.Close()
	if !e.track(ln) {
		return nil
	}
	defer e.untrack(ln)
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	if l.proxied && len(e.live.Load().TrustedProxies) == 0 {
		e.logger.WarnContext(ctx, "listener requires PROXY protocol but no proxy is trusted: it will refuse everybody",
			"listener", l.name)
	}
	spare := newSpare()
	defer spare.close()
	var pause time.Duration
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
			limitUnsent(conn)
			e.admit(conn, l)
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			if ctx.Err() != nil || e.ending() || e.retired.Load() {
				return nil
			}
			return err
		case !passing(err):
			return err
		default:
			if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
				e.metrics.rejected(rejectFiles)
				spare.turnAway(ln)
			}
			pause = min(max(2*pause, shortestPause), longestPause)
			e.logger.WarnContext(ctx, "accept failed; trying again", "listener", l.name, "error", err, "pause", pause)
			if !e.pause(ctx, pause) {
				return nil
			}
		}
	}
}

const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

// passing tells whether an accept error says nothing about the listener: the
// process is out of descriptors or memory, or the peer went away meanwhile.
func passing(err error) bool {
	for _, one := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM,
		syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EINTR, syscall.EPROTO, syscall.EPERM} {
		if errors.Is(err, one) {
			return true
		}
	}
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func (e *Edge) ending() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.stopping
}

// pause tells whether the time passed; false means that the edge or ctx ended.
func (e *Edge) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-e.ctx.Done():
	}
	return false
}

// admit gives a fresh connection a place and a goroutine, or turns it away. It must
// not block: the accept loop waits for it.
func (e *Edge) admit(conn net.Conn, l listener) {
	live := e.live.Load()
	peer := addrPort(conn.RemoteAddr())
	if e.Pressure() >= PressureHigh {
		e.turnAway(conn, l, rejectMemory)
		return
	}
	if !e.admission.enter(live.Limits.Connections) {
		e.turnAway(conn, l, rejectTotal)
		return
	}
	if l.proxied && !live.trusts(peer.Addr()) {
		e.admission.leave()
		e.turnAway(conn, l, rejectPeer)
		return
	}
	// A trusted proxy speaks for many visitors: they are counted once it has named
	// them, or not at all where it only does so in headers.
	counted := !live.trusts(peer.Addr())
	if counted && !e.admission.enterAddress(peer.Addr(), live.Limits.ConnectionsPerAddress) {
		e.admission.leave()
		e.turnAway(conn, l, rejectAddress)
		return
	}
	v := newVisitor(e, conn, peer, l.name)
	if counted {
		v.countedAs = peer.Addr()
	}
	if !e.start(v, l) {
		_ = v.Close()
	}
}

// start remembers the visitor for Shutdown and starts its goroutine; false means too
// late.
func (e *Edge) start(v *visitor, l listener) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.visitors[v] = struct{}{}
	e.all.Go(func() { e.greet(v, l) })
	return true
}

func (e *Edge) forget(v *visitor) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.visitors, v)
}

// greet starts the one deadline of everything before the first request or relayed
// byte, reads the PROXY header where one is due, and hands over.
func (e *Edge) greet(v *visitor, l listener) {
	live := e.live.Load()
	v.until = time.Now().Add(live.Timeouts.Handshake)
	if l.proxied && !e.readProxyHeader(v, live) {
		return
	}
	_ = v.SetReadDeadline(v.until)
	l.handle(v)
}

func (e *Edge) readProxyHeader(v *visitor, live *Live) bool {
	if err := v.acceptProxied(live.Timeouts.Handshake); err != nil {
		e.reject(v, rejectProxy, err)
		return false
	}
	if live.trusts(v.client.Addr()) {
		return true
	}
	if !e.admission.enterAddress(v.client.Addr(), live.Limits.ConnectionsPerAddress) {
		e.reject(v, rejectAddress, &postern.Error{Code: postern.CodeTooManyConnections})
		return false
	}
	v.countedAs = v.client.Addr()
	return true
}

// turnAway closes a connection that has no place. On the plain HTTP port a visitor
// can be told why without reading anything; the reply fits every socket buffer.
func (e *Edge) turnAway(conn net.Conn, l listener, reason string) {
	e.metrics.rejected(reason)
	if reply := repliesBefore[reason]; l.name == "http" && reply != nil {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write(reply)
	}
	_ = conn.Close()
}

// reject ends a visitor who got no further than the first bytes.
func (e *Edge) reject(v *visitor, reason string, err error) {
	e.metrics.rejected(reason)
	e.logger.DebugContext(e.ctx, "connection refused", "listener", v.listener, "peer", v.peer, "reason", reason, "error", err)
	_ = v.Close()
}

// spare is a descriptor kept for the day on which there are no others: giving it up
// lets one waiting connection be accepted and closed, so that the visitor sees an
// end instead of silence.
type spare struct{ file *os.File }

func newSpare() *spare {
	file, _ := os.Open(os.DevNull)
	return &spare{file}
}

func (s *spare) turnAway(ln net.Listener) {
	if s.file == nil {
		s.file, _ = os.Open(os.DevNull)
		return
	}
	s.close()
	deadline, ok := ln.(interface{ SetDeadline(time.Time) error })
	if !ok {
		return // Accept could block without the spare
	}
	_ = deadline.SetDeadline(time.Now().Add(shortestPause))
	if conn, err := ln.Accept(); err == nil {
		_ = conn.Close()
	}
	_ = deadline.SetDeadline(time.Time{})
	s.file, _ = os.Open(os.DevNull)
}

func (s *spare) close() {
	if s.file != nil {
		_ = s.file.Close()
		s.file = nil
	}
}

// addrPort converts what package net gives; the zero value for what has no port.
func addrPort(addr net.Addr) netip.AddrPort {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		ap := tcp.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
