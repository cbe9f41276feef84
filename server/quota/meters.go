package quota

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// forgetAfter is for how many minutes a meter is kept that nothing uses.
const forgetAfter = keptHours * 60

// Defaults are the server's own limits.
type Defaults struct{ Account, Credential postern.Limits }

// Meters has the meters of all accounts and credentials that somebody uses. Make one
// with New; all methods may be called from anywhere at once. A nil Meters gives nil
// meters.
type Meters struct {
	began time.Time

	mu          sync.Mutex
	defaults    Defaults
	overrides   map[string]postern.LimitOverrides
	accounts    map[postern.AccountID]*Meter
	credentials map[postern.CredentialID]*Meter
	past        [kinds][2]int64 // refusals at meters that were forgotten
}

// New returns Meters with no limits at all.
func New() *Meters {
	return &Meters{
		began:       time.Now(),
		overrides:   make(map[string]postern.LimitOverrides),
		accounts:    make(map[postern.AccountID]*Meter),
		credentials: make(map[postern.CredentialID]*Meter),
	}
}

// Account gives an account's meter. Who keeps it for later should Hold it.
func (s *Meters) Account(id postern.AccountID) *Meter {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.account(id)
}

// account is Account. mu is held.
func (s *Meters) account(id postern.AccountID) *Meter {
	m := s.accounts[id]
	if m == nil {
		m = &Meter{id: string(id), began: s.began}
		m.set(s.overrides[m.id].Over(s.defaults.Account))
		s.accounts[id] = m
	}
	return m
}

// Credential gives the meter of a credential of an account, as Account does.
func (s *Meters) Credential(account postern.AccountID, id postern.CredentialID) *Meter {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.credentials[id]
	if m == nil {
		m = &Meter{id: string(id), account: s.account(account), began: s.began}
		m.set(s.overrides[m.id].Over(s.defaults.Credential))
		s.credentials[id] = m
	}
	return m
}

// SetDefaults puts the server's own limits in force, at once. Nobody is cut off.
func (s *Meters) SetDefaults(d Defaults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.defaults != d {
		s.defaults = d
		s.apply()
	}
}

// Override puts the limits of one account or credential in force, by its id.
func (s *Meters) Override(id string, o postern.LimitOverrides) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.Empty() {
		delete(s.overrides, id)
	} else {
		s.overrides[id] = o
	}
	if m := s.accounts[postern.AccountID(id)]; m != nil {
		m.set(o.Over(s.defaults.Account))
	}
	if m := s.credentials[postern.CredentialID(id)]; m != nil {
		m.set(o.Over(s.defaults.Credential))
	}
}

// OverrideAll is Override for all of them: those that all does not have are none.
func (s *Meters) OverrideAll(all map[string]postern.LimitOverrides) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.overrides = maps.Clone(all)
	if s.overrides == nil {
		s.overrides = make(map[string]postern.LimitOverrides)
	}
	s.apply()
}

// apply sets all limits anew. mu is held.
func (s *Meters) apply() {
	for _, m := range s.accounts {
		m.set(s.overrides[m.id].Over(s.defaults.Account))
	}
	for _, m := range s.credentials {
		m.set(s.overrides[m.id].Over(s.defaults.Credential))
	}
}

// Usage lists what accounts use, each followed by its credentials, by id. Those that
// have used nothing for a day, or since this process began, are not listed.
func (s *Meters) Usage() []Usage {
	if s == nil {
		return nil
	}
	var all []Usage
	for _, m := range s.all() {
		all = append(all, m.Usage())
	}
	slices.SortFunc(all, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Credential, b.Credential))
	})
	return all
}

func (s *Meters) all() []*Meter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.AppendSeq(slices.Collect(maps.Values(s.accounts)), maps.Values(s.credentials))
}

// Run keeps the minutes and hours of Usage until ctx ends, and forgets meters that
// nothing has used for a day.
func (s *Meters) Run(ctx context.Context) error {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case <-minute.C:
			s.roll()
		case <-ctx.Done():
			return nil
		}
	}
}

// roll ends a minute.
func (s *Meters) roll() {
	var unused []*Meter
	for _, m := range s.all() {
		if m.history.roll(m.total()) >= forgetAfter && m.unused() {
			unused = append(unused, m)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range unused {
		if m.account != nil && m.unused() {
			s.note(m)
			delete(s.credentials, postern.CredentialID(m.id))
		}
	}
	// A credential's meter points to its account's: that goes after the last of them.
	needed := make(map[*Meter]bool)
	for _, m := range s.credentials {
		needed[m.account] = true
	}
	for _, m := range unused {
		if m.account == nil && !needed[m] && m.unused() {
			s.note(m)
			delete(s.accounts, postern.AccountID(m.id))
		}
	}
}

// unused tells whether nobody has anything at the meter, nor keeps it.
func (m *Meter) unused() bool {
	return m.held.Load() == 0 && m.sessions.Load() == 0 && m.endpoints.Load() == 0 && m.underWay.Load() == 0
}

// note keeps what the metrics count of a meter that goes. mu is held.
func (s *Meters) note(m *Meter) {
	for kind := range m.refused {
		s.past[kind][m.scope()] += m.refused[kind].Load()
	}
}
