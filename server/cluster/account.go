package cluster

import (
	"maps"
	"slices"

	"github.com/postern-dev/postern"
)

// Of returns a snapshot of what an account has online, in no order.
func (l *Local) Of(account postern.AccountID) []postern.Endpoint {
	l.mu.Lock()
	members := slices.Collect(maps.Values(l.accounts[account]))
	l.mu.Unlock()
	endpoints := make([]postern.Endpoint, len(members))
	for i, m := range members {
		endpoints[i] = m.snapshot().Endpoint
	}
	return endpoints
}

// enter makes m known. l.mu is held.
func (l *Local) enter(m *member) {
	l.members[m.id] = m
	account := m.live.Endpoint.Account
	if l.accounts[account] == nil {
		l.accounts[account] = make(map[postern.EndpointID]*member)
	}
	l.accounts[account][m.id] = m
}

// exit undoes enter. l.mu is held.
func (l *Local) exit(m *member) {
	delete(l.members, m.id)
	account := m.live.Endpoint.Account
	delete(l.accounts[account], m.id)
	if len(l.accounts[account]) == 0 {
		delete(l.accounts, account)
	}
}
