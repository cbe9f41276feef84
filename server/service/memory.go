package service

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// maxKnown bounds each kind of thing in memory: some 100 MB in all at worst. Beyond it,
// any one is forgotten for each that is new.
const maxKnown = 200_000

// page is how many rows are read at once when the memory is filled.
const page = 1000

// memory is what this process knows of the store, for when the store is down.
type memory struct {
	mu      sync.RWMutex
	changes uint64 // of credentials, by this process
	holders map[postern.CredentialID]holder
	keys    map[string]postern.CredentialID // SSH credentials by the fingerprints of their keys
	owners  map[postern.UserID]owner
	names   map[postern.Hostname]store.Name
	series  map[seriesKey][]postern.Hostname // the assigned ones among names
	ports   map[store.PortKey]store.Port
	domains map[postern.Hostname]postern.AccountID // reserved ones, and whose they are
}

// holder is a credential and whose it is.
type holder struct {
	credential postern.Credential
	account    postern.Account
	revoked    bool
	idle       bool   // its owner is not active
	key        string // the fingerprint of an SSH credential's key; "" for an authtoken
	changed    uint64 // the memory's count when this process changed it last, 0 for never
}

// owner is a user whom credentials belong to.
type owner struct {
	idle    bool
	changed uint64 // as a holder's
}

// seriesKey tells series of assigned names apart.
type seriesKey struct {
	credential postern.CredentialID
	endpoint   string
	kind       string
}

func newMemory() *memory {
	return &memory{
		holders: make(map[postern.CredentialID]holder),
		keys:    make(map[string]postern.CredentialID),
		owners:  make(map[postern.UserID]owner),
		names:   make(map[postern.Hostname]store.Name),
		series:  make(map[seriesKey][]postern.Hostname),
		ports:   make(map[store.PortKey]store.Port),
		domains: make(map[postern.Hostname]postern.AccountID),
	}
}

// now is when a look-up began, for learn.
func (m *memory) now() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.changes
}

// learn remembers h, which was read since, and returns what is known now. A revocation is
// never unlearnt, and no later change either, so a look-up that was on its way when the
// credential was revoked, changed or given another token does not bring back what was.
func (m *memory) learn(h holder, since uint64) holder {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.holders[h.credential.ID]
	if known.changed > since {
		h.credential = known.credential
	}
	h.revoked = h.revoked || known.revoked
	h.changed = known.changed
	h.idle = m.learnOwner(h.credential.Owner, h.idle, since)
	m.keep(h)
	return h
}

// keep puts h where it is found, by its key, too. m.mu is held.
func (m *memory) keep(h holder) {
	makeRoom(m.holders, h.credential.ID, m.forgetKey)
	m.holders[h.credential.ID] = h
	if h.key != "" && !h.revoked {
		m.keys[h.key] = h.credential.ID
	}
}

// forgetKey forgets by which key a credential is found. m.mu is held.
func (m *memory) forgetKey(h holder) {
	if h.key != "" && m.keys[h.key] == h.credential.ID {
		delete(m.keys, h.key)
	}
}

// learnOwner is learn for a credential's owner. m.mu is held.
func (m *memory) learnOwner(id postern.UserID, idle bool, since uint64) bool {
	known := m.owners[id]
	if known.changed > since {
		return known.idle
	}
	makeRoom(m.owners, id, nil)
	m.owners[id] = owner{idle: idle, changed: known.changed}
	return idle
}

// changeOwner notes that this process has changed whether a user is active.
func (m *memory) changeOwner(id postern.UserID, serves bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	makeRoom(m.owners, id, nil)
	m.owners[id] = owner{idle: !serves, changed: m.changes}
}

// change notes that this process has changed a credential.
func (m *memory) change(h holder) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.changes++
	h.changed, h.revoked = m.changes, m.holders[h.credential.ID].revoked
	m.keep(h)
}

func (m *memory) holder(id postern.CredentialID) (holder, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	h, ok := m.holders[id]
	h.idle = m.owners[h.credential.Owner].idle
	return h, ok
}

// holderOf is holder for who has an SSH key, by its fingerprint.
func (m *memory) holderOf(key string) (holder, bool) {
	m.mu.RLock()
	id, ok := m.keys[key]
	m.mu.RUnlock()
	if !ok {
		return holder{}, false
	}
	return m.holder(id)
}

func (m *memory) revoke(id postern.CredentialID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := m.holders[id]
	m.forgetKey(h)
	h.credential.ID, h.revoked = id, true
	m.keep(h)
}

func (m *memory) name(host postern.Hostname) (store.Name, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, ok := m.names[host]
	return n, ok
}

func (m *memory) learnName(n store.Name) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if before, ok := m.names[n.Host]; ok {
		m.forgetSeries(before)
	} else {
		makeRoom(m.names, n.Host, m.forgetSeries)
	}
	m.names[n.Host] = n
	if n.Assigned {
		key := seriesOf(n)
		m.series[key] = append(m.series[key], n.Host)
	}
}

func (m *memory) forgetSeries(n store.Name) {
	if !n.Assigned {
		return
	}
	key := seriesOf(n)
	rest := slices.DeleteFunc(m.series[key], func(host postern.Hostname) bool { return host == n.Host })
	if len(rest) == 0 {
		delete(m.series, key)
		return
	}
	m.series[key] = rest
}

// namesOf returns what is known of a series, in no order.
func (m *memory) namesOf(key seriesKey) []store.Name {
	m.mu.RLock()
	defer m.mu.RUnlock()
	names := make([]store.Name, 0, len(m.series[key]))
	for _, host := range m.series[key] {
		names = append(names, m.names[host])
	}
	return names
}

func seriesOf(n store.Name) seriesKey { return seriesKey{n.Credential, n.Endpoint, n.Kind} }

func (m *memory) port(port store.PortKey) (store.Port, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	p, ok := m.ports[port]
	return p, ok
}

func (m *memory) learnPort(p store.Port) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ports[p.PortKey] = p // 65535 of each scheme at most
}

// portsIn returns the known ports of a scheme from lo to hi used since, by port.
func (m *memory) portsIn(scheme postern.Scheme, lo, hi uint16, since time.Time) []store.Port {
	m.mu.RLock()
	defer m.mu.RUnlock()
	var ports []store.Port
	for _, p := range m.ports {
		if p.Scheme == scheme && p.Port >= lo && p.Port <= hi && !p.LastUsedAt.Before(since) {
			ports = append(ports, p)
		}
	}
	slices.SortFunc(ports, func(a, b store.Port) int { return int(a.Port) - int(b.Port) })
	return ports
}

// used notes uses of names and ports that are in memory.
func (m *memory) used(names map[postern.Hostname]use, ports map[store.PortKey]use) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for host, u := range names {
		if n, ok := m.names[host]; ok {
			u.apply(&n.LastUsedAt, &n.Installation, n.Assigned)
			m.names[host] = n
		}
	}
	for port, u := range ports {
		if p, ok := m.ports[port]; ok {
			u.apply(&p.LastUsedAt, &p.Installation, p.Assigned)
			m.ports[port] = p
		}
	}
}

// apply does to a row in memory what writing u does to the stored one.
func (u use) apply(lastUsedAt *time.Time, installation *string, assigned bool) {
	if lastUsedAt.Before(u.at) {
		*lastUsedAt = u.at
	}
	if assigned && u.installation != "" {
		*installation = u.installation
	}
}

// makeRoom forgets any one entry when a new key would be one too many.
func makeRoom[K comparable, V any](entries map[K]V, key K, forget func(V)) {
	if _, known := entries[key]; known || len(entries) < maxKnown {
		return
	}
	for other, value := range entries {
		if forget != nil {
			forget(value)
		}
		delete(entries, other)
		return
	}
}

// recall fills the memory from the store.
func (s *Service) recall(ctx context.Context) error {
	accounts := make(map[postern.AccountID]postern.Account)
	return s.store.Read(ctx, func(tx store.Tx) error {
		if err := s.recallCredentials(ctx, tx, accounts); err != nil {
			return err
		}
		if err := s.recallKeys(ctx, tx, accounts); err != nil {
			return err
		}
		for _, scheme := range []postern.Scheme{postern.TCP, postern.UDP} {
			ports, err := tx.Ports().Held(ctx, scheme, 0, 65535, s.expiry())
			if err != nil {
				return err
			}
			for _, p := range ports {
				s.known.learnPort(p)
			}
		}
		if err := s.recallClouds(ctx, tx); err != nil {
			return err
		}
		if err := s.recallDomains(ctx, tx); err != nil {
			return err
		}
		return s.recallNames(ctx, tx)
	})
}

func (s *Service) recallCredentials(ctx context.Context, tx store.Tx, accounts map[postern.AccountID]postern.Account) error {
	before := ""
	users := make(map[postern.UserID]store.User)
	for range maxKnown / page {
		rows, err := tx.Credentials().List(ctx, store.Page{Before: before, Limit: page, Where: store.Equal("revoked_at", nil)})
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			account, seen := accounts[row.Account]
			if !seen {
				if account, err = tx.Accounts().Get(ctx, row.Account); err != nil {
					return err
				}
				accounts[row.Account] = account
			}
			user, seen := users[row.Owner]
			if !seen {
				if user, err = tx.Users().Get(ctx, row.Account, string(row.Owner)); err != nil {
					return err
				}
				users[row.Owner] = user
			}
			s.known.learn(holder{credential: row.Credential(), account: account, idle: !user.Serves()}, s.known.now())
			before = row.ID
		}
	}
	return nil
}

func (s *Service) recallNames(ctx context.Context, tx store.Tx) error {
	var after postern.Hostname
	for range maxKnown / page {
		names, err := tx.Names().List(ctx, after, s.expiry(), page)
		if err != nil || len(names) == 0 {
			return err
		}
		for _, n := range names {
			s.known.learnName(n)
			after = n.Host
		}
	}
	return nil
}
