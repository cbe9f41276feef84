// Package dial is every way out of the process: the agent's connection to its
// server and to the services behind it, and what embedded clients dial.
package dial

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// DefaultTimeout bounds a dial where Dialer.Timeout is 0.
const DefaultTimeout = 10 * time.Second

// Dialer connects. The zero value is ready; it is safe for concurrent use.
type Dialer struct {
	Resolver *net.Resolver // nil is the system's
	Timeout  time.Duration // of a whole Dial, all addresses together; 0 is DefaultTimeout
	Proxy    *Proxy        // where TCP connections go through; nil: none
	// Interface is the name of the network interface that TCP connections leave by, or
	// an address of it that they leave from; "" is the system's choice.
	Interface string
	// Permit is asked about each address before it is connected to, once names are
	// resolved; its error keeps that address out. It is not asked about what a proxy
	// connects to, nor about unix sockets. nil permits every address.
	Permit func(netip.AddrPort) error
}

// Dial connects to addr, "host:port", or a path where network is "unix".
//
// "localhost" and names below it are the loopback interface without asking any
// resolver (RFC 6761 §6.3), over IPv4 and, when nobody listens there, over IPv6:
// many development servers listen on one of the two only.
//
// A proxy that refuses for good is CodeProxyRefused; other errors have no code.
func (d *Dialer) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	timeout := d.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	plain := &net.Dialer{Resolver: d.Resolver}
	if d.Interface != "" && strings.HasPrefix(network, "tcp") {
		if err := leaveBy(plain, network, d.Interface); err != nil {
			return nil, err
		}
	}
	if onThisMachine(network, addr) && d.Proxy == nil {
		plain.KeepAlive = -1 // nobody vanishes from it unnoticed
		if plain.LocalAddr == nil && plain.Control == nil {
			plain.Control = connectEarly
		}
	}
	if d.Permit != nil {
		plain.ControlContext = permitted(d.Permit, plain.Control)
	}
	if d.Proxy != nil && strings.HasPrefix(network, "tcp") {
		toProxy := func(ctx context.Context) (net.Conn, error) { return dialAny(ctx, plain, network, d.Proxy.addr()) }
		return d.Proxy.reach(ctx, toProxy, addr)
	}
	return dialAny(ctx, plain, network, addr)
}

// onThisMachine tells whether a TCP address is one of the loopback interface.
func onThisMachine(network, addr string) bool {
	if !strings.HasPrefix(network, "tcp") {
		return false
	}
	if at, err := netip.ParseAddrPort(addr); err == nil {
		return at.Addr().IsLoopback()
	}
	host, _, err := net.SplitHostPort(addr)
	return err == nil && IsLocalhost(host)
}

// permitted asks permit before a socket is connected, and sets it up with next.
func permitted(permit func(netip.AddrPort) error, next func(string, string, syscall.RawConn) error) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, network, address string, c syscall.RawConn) error {
		if addr, err := netip.ParseAddrPort(address); err == nil {
			if err := permit(netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())); err != nil {
				return err
			}
		}
		if next != nil {
			return next(network, address, c)
		}
		return nil
	}
}

func dialAny(ctx context.Context, plain *net.Dialer, network, addr string) (net.Conn, error) {
	if !strings.HasPrefix(network, "tcp") && !strings.HasPrefix(network, "udp") {
		return plain.DialContext(ctx, network, addr)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || !IsLocalhost(host) {
		return plain.DialContext(ctx, network, addr)
	}
	return dialLoopback(ctx, plain, network, port)
}

func dialLoopback(ctx context.Context, plain *net.Dialer, network, port string) (net.Conn, error) {
	var failed error
	for _, ip := range []string{"127.0.0.1", "::1"} {
		if strings.HasSuffix(network, "4") && ip == "::1" || strings.HasSuffix(network, "6") && ip != "::1" {
			continue
		}
		conn, err := plain.DialContext(ctx, network, net.JoinHostPort(ip, port))
		if err == nil {
			return conn, nil
		}
		if failed == nil {
			failed = err
		} else {
			failed = fmt.Errorf("%w; %w", failed, err) // in one line, for logs
		}
	}
	return nil, failed
}

// IsLocalhost tells whether host is "localhost" or a name below it.
func IsLocalhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
