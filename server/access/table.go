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
	enforced bool
	list     *List
}

// NewTable makes a table; nil without restrictions.
func NewTable(all []Restriction) *Table {
	if len(all) == 0 {
		return nil
	}
	t := &Table{parts: make(map[door]*guard, len(all))}
	for _, r := range all {
		t.parts[door{r.Account, r.Part}] = &guard{r.Enforced, NewList(r.Rules)}
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
	allowed, denied := g.list.Match(addr)
	switch {
	case allowed.IsValid() && !denied.IsValid():
		return Passes
	case g.enforced:
		return Refused
	}
	return Noted
}

// Current is the table in force. The zero value restricts nothing. It may be used
// concurrently.
type Current struct {
	table     atomic.Pointer[Table]
	ingresses atomic.Pointer[Ingresses]
	policies  atomic.Pointer[Policies]
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
