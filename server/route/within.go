package route

import "github.com/postern-dev/postern"

// within finds the routes of internal endpoints. Wildcards are kept by what follows their
// "*.", as names does.
type within struct {
	exact     map[Key]*Route
	wildcards map[Key]*Route
}

func newWithin(size int) within {
	return within{exact: make(map[Key]*Route, size), wildcards: make(map[Key]*Route)}
}

// Internal returns the route of the account's internal endpoint at u: that of the exact
// name, else that of the nearest wildcard above it. nil is nobody. u need not have its
// Account; its name must not be a wildcard. No other look-up by a visitor's words finds
// these routes.
func (t *Table) Internal(account postern.AccountID, u postern.URL) *Route {
	if account == "" || len(t.within.exact)+len(t.within.wildcards) == 0 {
		return nil
	}
	key := KeyOf(u.Within(account))
	if r := t.within.exact[key]; r != nil || len(t.within.wildcards) == 0 {
		return r
	}
	for key.host = key.host.Parent(); key.host != ""; key.host = key.host.Parent() {
		if r := t.within.wildcards[key]; r != nil {
			return r
		}
	}
	return nil
}

func (w *within) add(r *Route) bool {
	m, key := w.place(r.URL)
	before := len(m)
	m[key] = r
	return len(m) > before
}

// at returns the route of exactly this URL, wildcard or not.
func (w *within) at(u postern.URL) *Route {
	m, key := w.place(u)
	return m[key]
}

func (w *within) place(u postern.URL) (map[Key]*Route, Key) {
	key := KeyOf(u)
	if !u.Host.Wildcard() {
		return w.exact, key
	}
	key.host = key.host.Parent()
	return w.wildcards, key
}
