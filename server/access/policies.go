package access

import "github.com/postern-dev/postern"

// Policy is a named list of rules of an account's.
type Policy struct {
	Account postern.AccountID
	ID      string
	Rules   []Rule
}

// Policies are those of all accounts. They are not changed once they are made; nil has
// none.
type Policies struct{ lists map[name]*List }

type name struct {
	account postern.AccountID
	id      string
}

// NewPolicies makes them; nil without any.
func NewPolicies(all []Policy) *Policies {
	if len(all) == 0 {
		return nil
	}
	p := &Policies{make(map[name]*List, len(all))}
	for _, one := range all {
		p.lists[name{one.Account, one.ID}] = NewList(one.Rules)
	}
	return p
}

// SetPolicies puts policies into force.
func (c *Current) SetPolicies(p *Policies) { c.policies.Store(p) }

// List finds the rules of an account's policy, among those in force.
func (c *Current) List(account postern.AccountID, id string) (l *List, found bool) {
	if c == nil {
		return nil, false
	}
	p := c.policies.Load()
	if p == nil {
		return nil, false
	}
	l, found = p.lists[name{account, id}]
	return l, found
}
