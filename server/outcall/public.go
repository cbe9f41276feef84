package outcall

import "net/netip"

// special are the networks in which no public server is: those that IANA's registries of
// special-purpose addresses do not call globally reachable, and a few more.
func special() []netip.Prefix {
	var all []netip.Prefix
	for _, network := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
		"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		"168.63.129.16/32", // Azure's host, from within its virtual machines
		"2001::/23",        // Teredo, ORCHID, benchmarks and other protocols
		"2001:db8::/32", "3fff::/20",
		"2002::/16", // 6to4 leads to whatever IPv4 address it holds
	} {
		all = append(all, netip.MustParsePrefix(network))
	}
	return all
}

// ranges knows which addresses are public. It is not changed once it is made.
type ranges struct {
	special []netip.Prefix
	global  netip.Prefix // all public IPv6 addresses are in it
	nat64   netip.Prefix // RFC 6052: the last four bytes are an IPv4 address
}

func newRanges() ranges {
	return ranges{special(), netip.MustParsePrefix("2000::/3"), netip.MustParsePrefix("64:ff9b::/96")}
}

// public tells whether an address is one of the public Internet's, and one host's.
func (r ranges) public(addr netip.Addr) bool {
	if !addr.IsValid() || addr.Zone() != "" {
		return false
	}
	addr = addr.Unmap()
	if r.nat64.Contains(addr) {
		bytes := addr.As16()
		addr = netip.AddrFrom4([4]byte(bytes[12:]))
	}
	if addr.Is6() && !r.global.Contains(addr) {
		return false
	}
	return !within(addr, r.special)
}

func within(addr netip.Addr, networks []netip.Prefix) bool {
	for _, network := range networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}
