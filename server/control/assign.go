package control

import (
	"context"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/cluster"
)

const (
	// probes is how many addresses of a series are tried against their holders, each of
	// which is asked whether it lives, before those online are skipped unasked.
	probes = 4
	// attempts bounds the search for a free address.
	attempts = 64
	// answeredFor is for how long a holder that was heard of is not asked whether it
	// lives.
	answeredFor = 3 * time.Second
)

// search is one bind's way through a series of addresses, which many may go at once: a
// fleet that shares a credential and names no endpoints has one series. What one
// search tries the others pass by. Otherwise all would race for the first free
// address, one would get it, and the rest would race for the next.
type search struct {
	session *session
	probed  int                  // attempts that may have met a living holder
	tried   map[postern.URL]bool // in vain
	mine    []postern.URL        // in control's trying
}

// find looks for an address with next, which gives the first of the series that is
// not taken, and takes the endpoint online there. It tells whether it is: if not and
// there is no error, none was free.
func (s *session) find(ctx context.Context, e *endpoint, next func(taken func(postern.URL) bool) (postern.URL, error)) (found postern.URL, ok bool, err error) {
	q := &search{session: s, tried: make(map[postern.URL]bool)}
	defer q.end()
	for range attempts {
		u, err := q.next(ctx, next)
		if err != nil {
			return u, false, err
		}
		switch err := s.onlineAlone(ctx, e, u); {
		case err == nil:
			return u, true, nil
		case !postern.HasCode(err, postern.CodeAlreadyOnline) && !postern.HasCode(err, postern.CodePortUnavailable):
			return u, false, err
		}
		q.tried[u] = true
		q.probed++
	}
	return postern.URL{}, false, nil
}

// next asks for the next address, in turn with others who need the store.
func (q *search) next(ctx context.Context, next func(taken func(postern.URL) bool) (postern.URL, error)) (postern.URL, error) {
	leave, err := q.session.control.places.enter(ctx)
	if err != nil {
		return postern.URL{}, err
	}
	defer leave()
	return next(q.taken)
}

// taken tells whether to look further than u. If not, u is this search's until it
// ends.
func (q *search) taken(u postern.URL) bool {
	if q.tried[u] {
		return true
	}
	c := q.session.control
	c.mu.Lock()
	defer c.mu.Unlock()
	if by := c.trying[u]; by != nil {
		return by != q
	}
	if holders := c.config.Cluster.Holders(u); len(holders) > 0 && (q.probed >= probes || c.answering(holders)) {
		return true
	}
	c.trying[u] = q
	q.mine = append(q.mine, u)
	return false
}

func (q *search) end() {
	c := q.session.control
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range q.mine {
		delete(c.trying, u)
	}
}

// heard notes that a session lives.
func (c *Control) heard(id postern.SessionID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered.Put(id, time.Now())
}

// answering tells whether one of the holders was heard of a moment ago. c.mu is held.
func (c *Control) answering(holders []cluster.Live) bool {
	for _, holder := range holders {
		if at, asked := c.answered.Get(holder.Endpoint.Session); asked && time.Since(at) < answeredFor {
			return true
		}
	}
	return false
}

// assignName gives the endpoint its stable name, or the next of the series.
func (s *session) assignName(ctx context.Context, e *endpoint, u postern.URL) error {
	c, asker := s.control, s.asker(e)
	u, ok, err := s.find(ctx, e, func(taken func(postern.URL) bool) (postern.URL, error) {
		host, err := c.config.Service.AssignName(ctx, asker, u.Scheme, c.base(), func(host postern.Hostname) bool {
			return taken(postern.URL{Scheme: u.Scheme, Host: host})
		})
		u := postern.URL{Scheme: u.Scheme, Host: host}
		if err == nil && !asker.Credential.ACL.Allows(u) {
			err = notAllowed(u)
		}
		return u, err
	})
	switch {
	case err != nil:
		return err
	case !ok:
		return postern.Errorf(postern.CodeServerBusy, "no free name was found; ask for one by its URL")
	}
	c.config.Service.KeepName(asker, u.Host)
	return nil
}

// assignPort gives the endpoint its stable port, or another.
func (s *session) assignPort(ctx context.Context, e *endpoint, u postern.URL) error {
	c, ports, asker := s.control, s.control.ports(u.Scheme), s.asker(e)
	if !asker.Credential.ACL.AllowsAnyAddress() {
		return postern.Errorf(postern.CodeRandomPortNotAllowed, "the credential's ACL does not allow %s address that the server chooses; ask for one that the ACL names, such as %s:%d", article(u.Scheme), u.Host, ports.First)
	}
	u, ok, err := s.find(ctx, e, func(taken func(postern.URL) bool) (postern.URL, error) {
		port, err := c.config.Service.AssignPort(ctx, asker, u.Scheme, 0, ports.First, ports.Last, func(port uint16) bool {
			return taken(postern.URL{Scheme: u.Scheme, Host: u.Host, Port: port})
		})
		return postern.URL{Scheme: u.Scheme, Host: u.Host, Port: port}, err
	})
	switch {
	case err != nil:
		return err
	case !ok:
		return postern.Errorf(postern.CodePortUnavailable, "no free port was found in %d to %d", ports.First, ports.Last)
	}
	c.config.Service.KeepPort(asker, u.Scheme, u.Port)
	return nil
}

// article is the scheme as the text of an error names an address of it.
func article(scheme postern.Scheme) string { return "a " + strings.ToUpper(string(scheme)) }
