package outcall

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
)

// mailPort is refused: a body of the caller's making is a mail to servers that overlook
// the request line.
const mailPort = 25

// errForbidden is about an address that may not be connected to.
var errForbidden = errors.New("the address is not one that may be called")

// guard decides which addresses may be connected to.
type guard struct {
	ranges ranges
	ports  []uint16
	allow  atomic.Pointer[[]netip.Prefix]
	own    func() []netip.Addr
}

// control is a net.Dialer's: it sees each address right before it is connected to.
func (g *guard) control(_ context.Context, network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" || !g.permits(at) {
		return errForbidden
	}
	return nil
}

func (g *guard) permits(at netip.AddrPort) bool {
	addr := at.Addr().Unmap()
	switch {
	case at.Port() == mailPort, at.Port() == 0:
		return false
	case within(addr.WithZone(""), *g.allow.Load()):
		return true
	case !g.ranges.public(addr):
		return false
	}
	return slices.Contains(g.ports, at.Port()) || !slices.Contains(g.own(), addr)
}

// machine lists the addresses of the machine's interfaces. It knows of none if the system
// does not tell.
func machine() []netip.Addr {
	var all []netip.Addr
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, addr := range addrs {
		if network, is := addr.(*net.IPNet); is {
			if one, ok := netip.AddrFromSlice(network.IP); ok {
				all = append(all, one.Unmap())
			}
		}
	}
	return all
}
