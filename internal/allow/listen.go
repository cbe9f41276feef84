package allow

import "net/netip"

// firstUnprivileged is the port from which rules without ports begin.
const firstUnprivileged = 1024

// Place is one rule about where gateways may listen: a network, and perhaps its ports,
// such as "127.0.0.0/8", "10.1.2.0/24:8000-8999" or "[::1/128]:*". Without ports it
// allows those from 1024. The zero value allows nothing.
type Place struct {
	network netip.Prefix
	ports   Port
	given   bool // the rule names ports
}

// ParsePlace reads a rule about where gateways may listen.
func ParsePlace(rule string) (Place, error) {
	if len(rule) > MaxRule {
		return Place{}, tooLong(rule)
	}
	host, ports, fault := cutHost(rule)
	if fault != "" {
		return Place{}, invalid(rule, fault)
	}
	p := Place{ports: Port{first: firstUnprivileged, last: 65535}, given: ports != ""}
	if p.network, fault = parseNetwork(host); fault != "" {
		return Place{}, invalid(rule, fault)
	}
	if p.given {
		if p.ports, fault = parseRange(ports); fault != "" {
			return Place{}, invalid(rule, fault)
		}
	}
	return p, nil
}

// String is the rule in its shortest form.
func (p Place) String() string {
	text := printNetwork(p.network)
	if p.given {
		if p.network.Addr().Is6() {
			text = "[" + text + "]"
		}
		text += ":" + p.ports.ports()
	}
	return text
}

// Listen are the rules about where gateways may listen. No rules allow nothing.
type Listen []Place

// Loopback is where gateways may listen if nobody says otherwise: this machine's own
// addresses, and no port that needs privileges.
func Loopback() Listen {
	ports := Port{first: firstUnprivileged, last: 65535}
	return Listen{
		{network: netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8), ports: ports},
		{network: netip.PrefixFrom(netip.IPv6Loopback(), 128), ports: ports},
	}
}

// Addr tells whether there is any port at which a gateway may listen on an address.
func (l Listen) Addr(addr netip.Addr) bool {
	for _, place := range l {
		if place.network.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

// Allows tells whether a gateway may listen on a port of an address.
func (l Listen) Allows(addr netip.Addr, port uint16) bool {
	for _, place := range l {
		if place.network.Contains(addr.Unmap()) && place.ports.holds(port) {
			return true
		}
	}
	return false
}

// Covers tells whether a gateway may listen on all ports of a rule, at an address.
func (l Listen) Covers(addr netip.Addr, rule Port) bool {
	for port := int(rule.first); port <= int(rule.last); {
		last := 0
		for _, place := range l {
			if place.network.Contains(addr.Unmap()) && place.ports.holds(uint16(port)) { //nolint:gosec // a port's
				last = max(last, int(place.ports.last))
			}
		}
		if last == 0 {
			return false
		}
		port = last + 1
	}
	return rule.first != 0
}
