package access

import (
	"net/netip"
	"sync/atomic"

	"github.com/postern-dev/postern"
)

// Part is a part of an account that people and programs come to.
type Part string

// The parts, in the words of IP restrictions.
const (
	Agents    Part = "agent"
	API       Part = "api"
	Dashboard Part = "dashboard"
	Endpoints Part = "endpoints"
)

// Parts lists them.
func Parts() []Part { return []Part{Agents, API, Dashboard, Endpoints} }

// Rule is about the addresses of one network.
type Rule struct {
	Network netip.Prefix
	Deny    bool // otherwise it allows
}

// Restriction is what one part of an account is open to: an address passes if a rule
// allows it and none denys it.
type Restriction struct {
	Account  postern.AccountID
	Part     Part
	Enforced bool // otherwise who does not pass is only noted
	Rules    []Rule
}

// Verdict is about one address.
type Verdict uint8

// The verdicts.
const (
	Passes  Verdict = iota // or nothing restricts it
	Noted                  // does not pass, and comes in nevertheless
	Refused                // does not pass
)

// Table holds the restrictions of every account. It is not changed once it is made, and
// may be used concurrently; nil has none.
type Table struct{ parts map[door]*guard }

type door struct {
	account postern.AccountID
	part    Part
}

type guard struct {
	enforced    bool
	allow, deny networks
}

// NewTable makes a table; nil without restrictions.
func NewTable(all []Restriction) *Table {
	if len(all) == 0 {
		return nil
	}
	t := &Table{parts: make(map[door]*guard, len(all))}
	for _, r := range all {
		g := &guard{enforced: r.Enforced}
		for _, rule := range r.Rules {
			if rule.Deny {
				g.deny.add(rule.Network)
			} else {
				g.allow.add(rule.Network)
			}
		}
		t.parts[door{r.Account, r.Part}] = g
	}
	return t
}

// Check decides about an address. One that is not known passes nothing.
func (t *Table) Check(account postern.AccountID, part Part, addr netip.Addr) Verdict {
	if t == nil {
		return Passes
	}
	g := t.parts[door{account, part}]
	if g == nil {
		return Passes
	}
	addr = addr.Unmap().WithZone("")
	switch {
	case addr.IsValid() && g.allow.contain(addr) && !g.deny.contain(addr):
		return Passes
	case g.enforced:
		return Refused
	}
	return Noted
}

// networks is a set of networks. To look an address up costs a step for each length of
// prefix in the set, however many networks there are.
type networks struct {
	lengths [2][]int // of IPv4 and IPv6 prefixes
	have    map[netip.Prefix]struct{}
}

func (n *networks) add(network netip.Prefix) {
	network = network.Masked()
	if n.have == nil {
		n.have = make(map[netip.Prefix]struct{})
	}
	n.have[network] = struct{}{}
	lengths := &n.lengths[family(network.Addr())]
	for _, length := range *lengths {
		if length == network.Bits() {
			return
		}
	}
	*lengths = append(*lengths, network.Bits())
}

func (n *networks) contain(addr netip.Addr) bool {
	for _, length := range n.lengths[family(addr)] {
		around, err := addr.Prefix(length)
		if err != nil {
			continue
		}
		if _, in := n.have[around]; in {
			return true
		}
	}
	return false
}

func family(addr netip.Addr) int {
	if addr.Is4() {
		return 0
	}
	return 1
}

// Current is the table in force. The zero value restricts nothing. It may be used
// concurrently.
type Current struct {
	table     atomic.Pointer[Table]
	ingresses atomic.Pointer[Ingresses]
}

// Set puts a table into force.
func (c *Current) Set(t *Table) { c.table.Store(t) }

// Check is Table.Check of the table in force; nil restricts nothing.
func (c *Current) Check(account postern.AccountID, part Part, addr netip.Addr) Verdict {
	if c == nil {
		return Passes
	}
	return c.table.Load().Check(account, part, addr)
}
