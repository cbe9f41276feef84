package access

import (
	"net/netip"
	"slices"
)

// List is what rules say about addresses. It is not changed once it is made, and may be
// used concurrently; nil has no rules.
type List struct{ allow, deny networks }

// NewList makes a list.
func NewList(rules []Rule) *List {
	l := &List{}
	for _, rule := range rules {
		if rule.Deny {
			l.deny.add(rule.Network)
		} else {
			l.allow.add(rule.Network)
		}
	}
	return l
}

// Match gives the narrowest network around an address that a rule allows, and that one
// denies; the zero value for none.
func (l *List) Match(addr netip.Addr) (allowed, denied netip.Prefix) {
	addr = addr.Unmap().WithZone("")
	if l == nil || !addr.IsValid() {
		return netip.Prefix{}, netip.Prefix{}
	}
	return l.allow.around(addr), l.deny.around(addr)
}

// networks is a set of networks. To look an address up costs a step for each length of
// prefix in the set, however many networks there are.
type networks struct {
	lengths [2][]int // of IPv4 and IPv6 prefixes, the longest first
	have    map[netip.Prefix]struct{}
}

func (n *networks) add(network netip.Prefix) {
	network = network.Masked()
	if n.have == nil {
		n.have = make(map[netip.Prefix]struct{})
	}
	n.have[network] = struct{}{}
	lengths := &n.lengths[family(network.Addr())]
	if !slices.Contains(*lengths, network.Bits()) {
		*lengths = append(*lengths, network.Bits())
		slices.SortFunc(*lengths, func(a, b int) int { return b - a })
	}
}

func (n *networks) around(addr netip.Addr) netip.Prefix {
	for _, length := range n.lengths[family(addr)] {
		around, err := addr.Prefix(length)
		if err != nil {
			continue
		}
		if _, in := n.have[around]; in {
			return around
		}
	}
	return netip.Prefix{}
}

func family(addr netip.Addr) int {
	if addr.Is4() {
		return 0
	}
	return 1
}
