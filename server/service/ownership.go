package service

import (
	"context"
	"iter"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// Whoever has reserved a domain owns all names below it: the account binds them without
// reserving each, and no other account reserves or binds any of them. Of a wildcard that
// is true of what is below its star; the name above is nobody else's either, but has to
// be reserved to be bound. Names below the server's own domains that nobody has reserved
// are whose who binds them first (claimName); all others have to be reserved.

// ownership is what reservations of domains say of an account and a name.
type ownership int

const (
	unreserved ownership = iota
	ours                 // the account's own, or below what it owns
	theirs               // another account's, or above or below what that owns
)

// mostAbove is more than there can be: a name has fewer than 128 labels, and what is
// reserved above it is those names and their wildcards.
const mostAbove = 256

// ownerOf says whose host is for account, from the store, or from memory when the store
// does not answer: then only what is known to be somebody's is decided.
func (s *Service) ownerOf(ctx context.Context, account postern.AccountID, host postern.Hostname) (ownership, error) {
	var owner ownership
	var above []store.ReservedDomain
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		owner, above, err = readOwner(ctx, tx, account, host)
		return err
	})
	if err == nil {
		s.known.learnDomains(host, above)
		return owner, nil
	}
	if postern.HasCode(err, postern.CodeStoreUnavailable) {
		if owner := s.known.ownerOf(account, host); owner != unreserved {
			return owner, nil
		}
	}
	return unreserved, err
}

// readOwner is ownerOf within a transaction, and gives what is reserved at and above
// host.
func readOwner(ctx context.Context, tx store.Tx, account postern.AccountID, host postern.Hostname) (ownership, []store.ReservedDomain, error) {
	above, err := tx.ReservedDomains().List(ctx, store.Page{Where: store.AtOrAbove(host), Limit: mostAbove})
	if err != nil {
		return unreserved, nil, err
	}
	owner := unreserved
	for _, d := range above {
		switch {
		case d.Account != account:
			return theirs, above, nil
		case includes(d.Domain, host):
			owner = ours
		}
	}
	if owner == ours {
		return owner, above, nil // so nobody else can have anything below
	}
	below, err := tx.ReservedDomains().List(ctx, store.Page{Where: ofOthers(store.AtOrBelow(host), account), Limit: 1})
	if len(below) > 0 {
		owner = theirs
	}
	return owner, above, err
}

func ofOthers(where store.Filter, account postern.AccountID) store.Filter {
	return store.All(where, store.Compare{Field: "account_id", Op: store.Differs, Value: string(account)})
}

// includes tells whether host is domain, or a name below what domain is for.
func includes(domain, host postern.Hostname) bool { return domain.Covers(host) || host.Under(domain) }

// onlineForAnother refuses a domain where another account is online: a reservation that
// it had and gave up may be what its endpoint stems from.
func (s *Service) onlineForAnother(account postern.AccountID, domain postern.Hostname) error {
	for _, e := range s.inUse() {
		if e.Account != account && e.URL.Scheme.Hosted() && !e.URL.Internal() && (store.Holds(domain, e.URL.Host) || store.Holds(e.URL.Host, domain)) {
			return postern.Errorf(postern.CodeDomainInUse, "%s, or a name above or below it, is online for another account", domain)
		}
	}
	return nil
}

// reserved notes, once d is committed, that account has reserved a domain.
func (s *Service) reserved(d *draft, account postern.AccountID, domain postern.Hostname) {
	d.committed = append(d.committed, func() { s.known.learnDomain(domain, account) })
}

// givenUp notes, once d is committed, that a domain is nobody's any more.
func (s *Service) givenUp(d *draft, domain postern.Hostname) {
	d.committed = append(d.committed, func() { s.known.forgetDomain(domain) })
}

func (m *memory) learnDomain(domain postern.Hostname, account postern.AccountID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	makeRoom(m.domains, domain, nil)
	m.domains[domain] = account
}

func (m *memory) forgetDomain(domain postern.Hostname) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.domains, domain)
}

// learnDomains remembers what is reserved at and above host, and nothing else of it.
func (m *memory) learnDomains(host postern.Hostname, above []store.ReservedDomain) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.domains) > 0 {
		for domain := range atAndAbove(host) {
			delete(m.domains, domain)
		}
	}
	for _, d := range above {
		makeRoom(m.domains, d.Domain, nil)
		m.domains[d.Domain] = d.Account
	}
}

func (m *memory) ownerOf(account postern.AccountID, host postern.Hostname) ownership {
	m.mu.RLock()
	defer m.mu.RUnlock()
	owner := unreserved
	for domain := range atAndAbove(host) {
		holder, known := m.domains[domain]
		switch {
		case known && holder != account:
			return theirs
		case known && includes(domain, host):
			owner = ours
		}
	}
	return owner
}

// atAndAbove yields what may be reserved at and above host: each name, and its wildcard.
func atAndAbove(host postern.Hostname) iter.Seq[postern.Hostname] {
	if host.Wildcard() {
		host = host.Parent()
	}
	return func(yield func(postern.Hostname) bool) {
		for name := host; name != ""; name = name.Parent() {
			if !yield(name) || !yield("*."+name) {
				return
			}
		}
	}
}

// recallDomains fills the memory from the store.
func (s *Service) recallDomains(ctx context.Context, tx store.Tx) error {
	before := ""
	for range maxKnown / page {
		domains, err := tx.ReservedDomains().List(ctx, store.Page{Before: before, Limit: page})
		if err != nil || len(domains) == 0 {
			return err
		}
		for _, d := range domains {
			s.known.learnDomain(d.Domain, d.Account)
			before = d.ID
		}
	}
	return nil
}
