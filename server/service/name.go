package service

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// maxSlots ends the search for a free name of a series.
const maxSlots = 4096

// ClaimName holds a name for the credential's account, or renews that. A name that the
// account has reserved, or owns because of what it has reserved, is its own. Of all others
// those below a domain of this server are whose who claims them first. It is refused
// with CodeNameReserved if the server keeps the name for itself, or if another account
// has reserved it, a name above or a name below, or used one within the time of a
// reservation; and with CodeDomainForeign if the name is not below a domain of this
// server and nobody has reserved it. While the store is down only names that this process
// knows to be the account's succeed.
func (s *Service) ClaimName(ctx context.Context, c postern.Credential, host postern.Hostname) error {
	domain, err := s.domainOf(host)
	if postern.HasCode(err, postern.CodeDomainForeign) {
		return s.useForeign(ctx, c.Account, host, err)
	}
	if err != nil {
		return err
	}
	return s.claimName(ctx, store.Name{Host: host, Account: c.Account, Credential: c.ID}, domain)
}

// useForeign lets an account have a name that is not below our domains if it is its own.
func (s *Service) useForeign(ctx context.Context, account postern.AccountID, host postern.Hostname, foreign error) error {
	owner, err := s.ownerOf(ctx, account, host)
	switch {
	case err != nil:
		return err
	case owner == theirs:
		return nameReserved(host)
	case owner == unreserved:
		return foreign
	}
	return nil
}

// AssignName gives the agent's endpoint a name below domain. Names come in series, one
// for each credential, endpoint name and kind of scheme (http and https share names,
// tls has its own): the one that the asker's installation had last if it is not taken,
// else the first that is not, always the same for the same series, also after its rows
// were lost. taken tells which are online; it is called without locks held. Two callers
// at the same time may be given the same name: whose registration fails then asks
// again, and whose succeeds tells KeepName. A name that the credential's ACL does not
// allow is CodeNameNotAllowed, and is not reserved.
func (s *Service) AssignName(ctx context.Context, a Asker, scheme postern.Scheme, domain postern.Hostname, taken func(postern.Hostname) bool) (postern.Hostname, error) {
	if err := checkEndpoint(a.Endpoint); err != nil {
		return "", err
	}
	key := seriesKey{credential: a.Credential.ID, endpoint: a.Endpoint, kind: kindOf(scheme)}
	remembered, err := s.remembered(ctx, key, domain)
	if err != nil {
		return "", err
	}
	for slot := range slots(remembered, s.installation(a)) {
		host := remembered[slot].Host
		if host == "" {
			host = s.deriveName(key, slot, domain)
		}
		if taken(host) {
			continue
		}
		if _, err := s.domainOf(host); err != nil {
			return "", err
		}
		if u := (postern.URL{Scheme: scheme, Host: host}); !a.Credential.ACL.Allows(u) {
			return "", postern.Errorf(postern.CodeNameNotAllowed, "the credential's ACL does not allow %s, which the server chose", host)
		}
		err := s.claimName(ctx, store.Name{
			Host: host, Account: a.Credential.Account, Credential: a.Credential.ID,
			Assigned: true, Endpoint: a.Endpoint, Kind: key.kind, Slot: slot,
		}, domain)
		if postern.HasCode(err, postern.CodeNameReserved) {
			continue // another series met this one
		}
		return host, err
	}
	return "", postern.Errorf(postern.CodeEndpointLimit, "%d endpoints of this credential share one name; name them differently", maxSlots)
}

// remembered returns the names below domain that a series has had, by slot, each with
// its last installation. The map is shared with others and must not be changed.
func (s *Service) remembered(ctx context.Context, key seriesKey, domain postern.Hostname) (map[int]store.Name, error) {
	return s.series.share(ctx, seriesIn{key, domain}, func() (map[int]store.Name, error) {
		return s.readSeries(context.WithoutCancel(ctx), key, domain)
	})
}

// readSeries is remembered for one caller.
func (s *Service) readSeries(ctx context.Context, key seriesKey, domain postern.Hostname) (map[int]store.Name, error) {
	keepers := s.nameKeepers(key)
	var names []store.Name
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		names, err = tx.Names().Series(ctx, key.credential, key.endpoint, key.kind)
		return err
	})
	if err != nil {
		if !postern.HasCode(err, postern.CodeStoreUnavailable) {
			return nil, err
		}
		names = s.known.namesOf(key)
	}
	bySlot := make(map[int]store.Name, len(names))
	for _, n := range names {
		if n.Host.Parent() != domain {
			continue
		}
		if last, waits := keepers[n.Host]; waits {
			n.Installation = last
		}
		bySlot[n.Slot] = n
	}
	return bySlot, nil
}

// nameKeepers returns the installations of a series that the store may not know yet. To
// be asked for before the store is: what is written in between is then in both.
func (s *Service) nameKeepers(key seriesKey) map[postern.Hostname]string {
	keepers := make(map[postern.Hostname]string)
	for _, n := range s.known.namesOf(key) {
		if last, waits := s.pending.nameKeeper(n.Host); waits {
			keepers[n.Host] = last
		}
	}
	return keepers
}

// claimName claims n.Host for n.Account. The common case, an account that comes back to
// a name of its own, only reads. Nobody else can have reserved such a name meanwhile:
// mayReserve has seen to that.
func (s *Service) claimName(ctx context.Context, n store.Name, domain postern.Hostname) error {
	held, err := s.heldName(ctx, n.Host)
	if err == nil && !held.LastUsedAt.Before(s.expiry()) && held.Account == n.Account {
		if !mayUse(n, held) {
			return nameReserved(n.Host)
		}
		if s.now().Sub(held.LastUsedAt) >= touchEvery {
			s.pending.touch([]postern.Hostname{n.Host}, nil, s.now())
		}
		return nil
	}
	switch owner, unknown := s.ownerOf(ctx, n.Account, n.Host); {
	case owner == ours:
		return nil
	case owner == theirs:
		return nameReserved(n.Host)
	case err == nil && !held.LastUsedAt.Before(s.expiry()):
		return nameReserved(n.Host)
	case err != nil && !postern.HasCode(err, postern.CodeNotFound):
		return err
	case unknown != nil:
		return unknown
	}
	return s.takeName(ctx, n, domain)
}

// heldName says who holds a name, from the store, or from memory when the store does
// not answer.
func (s *Service) heldName(ctx context.Context, host postern.Hostname) (store.Name, error) {
	var held store.Name
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		held, err = tx.Names().Get(ctx, host)
		return err
	})
	if err == nil {
		s.known.learnName(held)
	}
	if postern.HasCode(err, postern.CodeStoreUnavailable) {
		if remembered, ok := s.known.name(host); ok {
			return remembered, nil
		}
	}
	return held, err
}

// takeName makes a new reservation, or takes over one that has lapsed.
func (s *Service) takeName(ctx context.Context, n store.Name, domain postern.Hostname) error {
	return s.change(ctx, func(d *draft) error {
		switch owner, _, err := readOwner(d.ctx, d.Tx, n.Account, n.Host); {
		case err != nil:
			return err
		case owner == theirs:
			return nameReserved(n.Host)
		}
		since := d.now.Add(-Reservation)
		switch _, err := d.Names().Related(d.ctx, n.Host, domain, n.Account, since); {
		case err == nil:
			return nameReserved(n.Host)
		case !postern.HasCode(err, postern.CodeNotFound):
			return err
		}
		before, err := d.Names().Get(d.ctx, n.Host)
		if err != nil && !postern.HasCode(err, postern.CodeNotFound) {
			return err
		}
		n.CreatedAt, n.LastUsedAt = d.now, d.now
		held, err := d.Names().Claim(d.ctx, n, since)
		if err != nil {
			return err
		}
		if !mayUse(n, held) {
			return nameReserved(n.Host)
		}
		d.committed = append(d.committed, func() { s.known.learnName(held) })
		if before.Account == held.Account {
			return nil // came back after its reservation had lapsed, and nobody had taken it
		}
		return d.record(event.NameClaimed, held.Account, string(held.Host), showName(held))
	})
}

// mayUse tells whether the holder of a name is who wants it. An account may use all its
// names, but assigns none that it remembers for another of its series.
func mayUse(wanted, held store.Name) bool {
	if held.Account != wanted.Account {
		return false
	}
	return !wanted.Assigned || !held.Assigned || seriesOf(held) == seriesOf(wanted)
}

// kindOf keeps endpoints apart that may be online under one name at the same time.
func kindOf(scheme postern.Scheme) string {
	if scheme == postern.TLS {
		return "tls"
	}
	return "http"
}

func nameReserved(host postern.Hostname) error {
	return postern.Errorf(postern.CodeNameReserved, "%q, or a name above or below it, belongs to another account", host)
}

// checkEndpoint refuses endpoint names that could not be stored.
func checkEndpoint(name string) error {
	if err := checkText("the endpoint's name", name, maxDescription); err != nil {
		return postern.Errorf(postern.CodeBindInvalid, "%s", postern.AsError(err).Text())
	}
	return nil
}
