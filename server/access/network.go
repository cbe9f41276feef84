package access

import "net/netip"

// ParseNetwork reads a network such as 192.0.2.0/24, or an address alone, which is the
// network of nobody else. Bits behind the mask stay as they were written. IPv6 zones mean
// something on one machine only, and networks of IPv4 within IPv6 (::ffff:0:0/96) never
// match, since addresses are compared unmapped: neither is taken.
func ParseNetwork(text string) (network netip.Prefix, ok bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), addr.Zone() == ""
	}
	network, err := netip.ParsePrefix(text)
	return network, err == nil && !network.Addr().Is4In6()
}
