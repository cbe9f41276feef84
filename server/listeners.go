package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"syscall"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/handover"
)

// listeners are the sockets of a node; nil where one is switched off.
type listeners struct {
	https, http, agent, ssh, admin net.Listener
	dns                            net.Listener // with datagrams, or neither
	datagrams                      *net.UDPConn // for DNS
}

// listen binds everything, or nothing. What is among the inherited under the same name
// and address is used instead of a new one.
func listen(ctx context.Context, c Config, inherited []handover.Listener) (*listeners, error) {
	l := &listeners{}
	for _, one := range []struct {
		key, address string
		to           *net.Listener
	}{
		{"listen.https", c.Listen.HTTPS, &l.https},
		{"listen.http", c.Listen.HTTP, &l.http},
		{"listen.agent", c.Listen.Agent, &l.agent},
		{"listen.ssh", c.Listen.SSH, &l.ssh},
		{"listen.admin", c.Listen.Admin, &l.admin},
	} {
		if one.address == "" {
			continue
		}
		if ln := find(inherited, one.key, one.address); ln != nil {
			*one.to = ln
			continue
		}
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", one.address)
		if err != nil {
			l.close()
			return nil, cannotListen(one.key, one.address, err)
		}
		*one.to = ln
	}
	if err := l.listenDNS(ctx, c.Listen.DNS, inherited); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// listenDNS binds both sockets of listen.dns, to the same port.
func (l *listeners) listenDNS(ctx context.Context, address string, inherited []handover.Listener) error {
	const key = "listen.dns"
	if address == "" {
		return nil
	}
	l.dns = find(inherited, key, address)
	for _, one := range inherited {
		if one.Datagrams != nil && one.Name == key && (one.Address == address || one.Address == handover.AnyAddress) {
			l.datagrams = one.Datagrams
		}
	}
	if l.dns == nil {
		ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return cannotListen(key, address, err)
		}
		l.dns = ln
	}
	if l.datagrams != nil {
		return nil
	}
	host, wanted, err := net.SplitHostPort(address)
	if err == nil && wanted == "0" {
		address = net.JoinHostPort(host, strconv.Itoa(int(port(l.dns))))
	}
	conn, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", address)
	if err != nil {
		return cannotListen(key, address+" over UDP", err)
	}
	l.datagrams, _ = conn.(*net.UDPConn) // it is one
	return nil
}

// find returns the inherited listener of a key and address, nil for none.
func find(inherited []handover.Listener, key, address string) net.Listener {
	for _, ln := range inherited {
		if ln.Listener != nil && ln.Name == key && (ln.Address == address || ln.Address == handover.AnyAddress) {
			return ln.Listener
		}
	}
	return nil
}

// toHandOver names the listeners for another process.
func (l *listeners) toHandOver(c Config, socket net.Listener) []handover.Listener {
	all := []handover.Listener{{Name: socketName, Address: socketName, Listener: socket}}
	for _, one := range []handover.Listener{
		{Name: "listen.https", Address: c.Listen.HTTPS, Listener: l.https},
		{Name: "listen.http", Address: c.Listen.HTTP, Listener: l.http},
		{Name: "listen.agent", Address: c.Listen.Agent, Listener: l.agent},
		{Name: "listen.ssh", Address: c.Listen.SSH, Listener: l.ssh},
		{Name: "listen.admin", Address: c.Listen.Admin, Listener: l.admin},
		{Name: "listen.dns", Address: c.Listen.DNS, Listener: l.dns},
		{Name: "listen.dns", Address: c.Listen.DNS, Datagrams: l.datagrams},
	} {
		if one.Listener != nil || one.Datagrams != nil {
			all = append(all, one)
		}
	}
	return all
}

func cannotListen(key, address string, err error) error {
	hint := "give " + key + " another address"
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program has it; stop that, or " + hint
	case errors.Is(err, syscall.EACCES):
		hint = "ports below 1024 need root or CAP_NET_BIND_SERVICE; or " + hint
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = "this machine does not have the address; " + hint
	}
	cause := err
	var number syscall.Errno
	if errors.As(err, &number) {
		cause = number
	}
	return postern.Errorf(postern.CodeConfigInvalid, "%s: %s cannot be listened on: %v; %s", key, address, cause, hint).Because(err)
}

func (l *listeners) close() {
	for _, ln := range []net.Listener{l.https, l.http, l.agent, l.ssh, l.admin, l.dns} {
		if ln != nil {
			// Closing a listener that its server has closed is no failure.
			_ = ln.Close()
		}
	}
	if l.datagrams != nil {
		_ = l.datagrams.Close()
	}
}

// port gives the port that a listener got, 0 for none.
func port(ln net.Listener) uint16 { return addrPort(ln).Port() }

func addrPort(ln net.Listener) netip.AddrPort {
	if ln == nil {
		return netip.AddrPort{}
	}
	addr, ok := ln.Addr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := addr.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// addresses spells out where the configuration listens, for the certificate of
// those who dial an address: every address of the machine for a listener on all.
func addresses(c Config) ([]netip.Addr, error) {
	var all []netip.Addr
	for _, address := range []string{c.Listen.HTTPS, c.Listen.Agent} {
		if address == "" {
			continue
		}
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, postern.Errorf(postern.CodeConfigInvalid, "listen: %q is not an address", address)
		}
		addr, err := netip.ParseAddr(host)
		switch {
		case host == "localhost":
			// loopback is always covered
		case err != nil || addr.IsUnspecified():
			all = append(all, machineAddresses()...)
		default:
			all = append(all, addr.Unmap())
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all), nil
}

// machineAddresses are those under which this machine can be dialled. Without
// permission to look there are none, and agents dial names.
func machineAddresses() []netip.Addr {
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var all []netip.Addr
	for _, one := range found {
		prefix, err := netip.ParsePrefix(one.String())
		if err == nil && !prefix.Addr().IsLinkLocalUnicast() && !prefix.Addr().IsLoopback() {
			all = append(all, prefix.Addr().Unmap())
		}
	}
	return all
}

// portAddr is where TCP endpoints listen; the zero value is everywhere.
func portAddr(c Config) netip.Addr {
	host := c.Listen.TCP
	if host == "" {
		host, _, _ = net.SplitHostPort(c.Listen.HTTPS)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || addr.IsUnspecified() && c.Listen.TCP == "" {
		return netip.Addr{}
	}
	return addr
}
