package setup

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
)

// Public returns those of a machine's addresses that the world can reach, if any can.
func Public(all []netip.Addr) []netip.Addr {
	var public []netip.Addr
	for _, addr := range all {
		addr = addr.Unmap().WithZone("")
		if addr.IsGlobalUnicast() && !addr.IsPrivate() && !shared(addr) {
			public = append(public, addr)
		}
	}
	slices.SortFunc(public, netip.Addr.Compare)
	return slices.Compact(public)
}

// shared tells whether an address is a carrier's own (RFC 6598).
func shared(addr netip.Addr) bool {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 64}), 10).Contains(addr)
}

// Interfaces are the addresses of this machine.
func Interfaces() ([]netip.Addr, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var found []netip.Addr
	for _, one := range all {
		if network, is := one.(*net.IPNet); is {
			if addr, valid := netip.AddrFromSlice(network.IP); valid {
				found = append(found, addr.Unmap())
			}
		}
	}
	return found, nil
}

// ThisNetwork is this machine's.
func ThisNetwork() Network {
	var dialer net.Dialer
	return Network{Listen: listen, Dial: dialer.DialContext, Holder: holder}
}

func listen(ctx context.Context, network, address string) (io.Closer, error) {
	var config net.ListenConfig
	if network == "udp" {
		return config.ListenPacket(ctx, network, address)
	}
	return config.Listen(ctx, network, address)
}

// ResolverAt asks one resolver ("host:port"), "" the system's.
func ResolverAt(address string) *net.Resolver {
	if address == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, address)
	}}
}
