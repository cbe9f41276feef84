package errorpage

import (
	"iter"
	"sync/atomic"

	"github.com/postern-dev/postern"
)

// Domain is a reserved domain that has pages.
type Domain struct {
	Name    postern.Hostname // perhaps a wildcard
	Account postern.AccountID
	Pages   *Set
}

// Table finds the domains that a host belongs to. It is not changed once it is made; nil
// has none.
type Table struct {
	exact     map[postern.Hostname]*Domain
	wildcards map[postern.Hostname]*Domain // by what follows their "*."
	switched  bool                         // one of them at least is under maintenance
}

// NewTable makes a table; nil without domains. Names are unique.
func NewTable(all []Domain) *Table {
	if len(all) == 0 {
		return nil
	}
	t := &Table{exact: make(map[postern.Hostname]*Domain), wildcards: make(map[postern.Hostname]*Domain)}
	for i := range all {
		d := &all[i]
		t.switched = t.switched || d.Pages.Switched()
		if d.Name.Wildcard() {
			t.wildcards[d.Name.Parent()] = d
		} else {
			t.exact[d.Name] = d
		}
	}
	return t
}

// above yields the domains that hold a host, the nearest first: who has reserved a name has
// those below it, and a wildcard has the name below which it reaches, too.
func (t *Table) above(host postern.Hostname) iter.Seq[*Domain] {
	return func(yield func(*Domain) bool) {
		if t == nil || host == "" {
			return
		}
		if d := t.exact[host]; d != nil && !yield(d) {
			return
		}
		for name := host; name != ""; name = name.Parent() {
			if d := t.wildcards[name]; d != nil && !yield(d) {
				return
			}
			if d := t.exact[name]; d != nil && name != host && !yield(d) {
				return
			}
		}
	}
}

// Current is the table in force. The zero value has no pages; it may be used concurrently.
type Current struct{ table atomic.Pointer[Table] }

// Set puts a table into force.
func (c *Current) Set(t *Table) { c.table.Store(t) }

// Switched tells whether any domain is under maintenance.
func (c *Current) Switched() bool {
	if c == nil {
		return false
	}
	t := c.table.Load()
	return t != nil && t.switched
}

// Above yields the pages of the domains that hold a host, the nearest first. account is
// whose endpoint has the host, "" where there is none: pages of others do not count. A nil
// Current has none.
func (c *Current) Above(host postern.Hostname, account postern.AccountID) iter.Seq[*Set] {
	return func(yield func(*Set) bool) {
		if c == nil {
			return
		}
		for d := range c.table.Load().above(host) {
			if (account == "" || d.Account == account) && !yield(d.Pages) {
				return
			}
		}
	}
}
