package service

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// ClaimPort holds a port of a scheme, tcp or udp, for the credential's account, or renews that. A port that
// another account has used within the time of a reservation is CodePortUnavailable.
// Whether the server listens there at all is the caller's to check.
func (s *Service) ClaimPort(ctx context.Context, c postern.Credential, scheme postern.Scheme, port uint16) error {
	return s.claimPort(ctx, store.Port{PortKey: store.PortKey{Scheme: scheme, Port: port}, Account: c.Account, Credential: c.ID})
}

// AssignPort gives the agent's endpoint the port it wants, or with want 0 one from lo to
// hi (both included): of those it had before the first that is not taken, the ones that
// the asker's installation had last before others, else any that is free and nobody's.
// taken tells which are online and is not asked about a port that is
// wanted by number. With nothing left it fails with CodePortUnavailable. Two callers at
// the same time may be given the same port: whose registration fails then asks again,
// and whose succeeds tells KeepPort.
func (s *Service) AssignPort(ctx context.Context, a Asker, scheme postern.Scheme, want, lo, hi uint16, taken func(uint16) bool) (uint16, error) {
	if err := checkEndpoint(a.Endpoint); err != nil {
		return 0, err
	}
	if lo == 0 || lo > hi {
		return 0, postern.Errorf(postern.CodePortUnavailable, "this server has no ports for %s endpoints", scheme)
	}
	if want != 0 {
		if want < lo || want > hi {
			return 0, postern.Errorf(postern.CodePortUnavailable, "port %d is not one of this server's, %d to %d", want, lo, hi)
		}
		return want, s.ClaimPort(ctx, a.Credential, scheme, want)
	}
	keepers := s.pending.portKeepers() // before the store is asked, as in remembered
	held, err := s.heldPorts(ctx, scheme, lo, hi)
	if err != nil {
		return 0, err
	}
	for i, p := range held {
		if last, waits := keepers[p.PortKey]; waits {
			held[i].Installation = last
		}
	}
	for _, p := range s.candidates(a, lo, hi, held) {
		if taken(p) {
			continue
		}
		err := s.claimPort(ctx, store.Port{
			PortKey: store.PortKey{Scheme: scheme, Port: p}, Account: a.Credential.Account, Credential: a.Credential.ID, Assigned: true, Endpoint: a.Endpoint,
		})
		if postern.HasCode(err, postern.CodePortUnavailable) {
			continue // claimed since held was read
		}
		return p, err
	}
	return 0, postern.Errorf(postern.CodePortUnavailable, "every port from %d to %d is taken", lo, hi)
}

// candidates orders the ports that an endpoint may get: its own of earlier times, then
// those that nobody holds, starting at a point that differs from endpoint to endpoint.
func (s *Service) candidates(a Asker, lo, hi uint16, held []store.Port) []uint16 {
	reserved := make(map[uint16]bool, len(held))
	var former []store.Port
	for _, p := range held {
		reserved[p.Port] = true
		if p.Account == a.Credential.Account && p.Credential == a.Credential.ID && p.Assigned && p.Endpoint == a.Endpoint {
			former = append(former, p)
		}
	}
	size := int(hi-lo) + 1
	start := int(s.derivePort(seriesKey{credential: a.Credential.ID, endpoint: a.Endpoint}, lo, hi) - lo)
	ports := inOrder(former, s.installation(a), func(p uint16) int { return (int(p-lo) - start + size) % size })
	for i := range size {
		p := lo + uint16((start+i)%size) //nolint:gosec // below size
		if !reserved[p] {
			ports = append(ports, p)
		}
	}
	return ports
}

// inOrder puts the ports of a series into the order that slots gives to names; the time
// at which each was first assigned stands for its slot, then the place in the search.
func inOrder(former []store.Port, installation string, place func(uint16) int) []uint16 {
	slices.SortFunc(former, func(a, b store.Port) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(place(a.Port), place(b.Port)))
	})
	var own, others []uint16
	for _, p := range former {
		if p.Installation == installation {
			own = append(own, p.Port)
		} else {
			others = append(others, p.Port)
		}
	}
	return append(own, others...)
}

// heldPorts returns the reservations of a range of a scheme, from memory when the store does not
// answer.
func (s *Service) heldPorts(ctx context.Context, scheme postern.Scheme, lo, hi uint16) ([]store.Port, error) {
	var held []store.Port
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		held, err = heldPortsIn(ctx, tx, scheme, lo, hi, s.expiry())
		return err
	})
	if postern.HasCode(err, postern.CodeStoreUnavailable) {
		return s.known.portsIn(scheme, lo, hi, s.expiry()), nil
	}
	return held, err
}

func (s *Service) claimPort(ctx context.Context, p store.Port) error {
	held, err := s.heldPort(ctx, p.PortKey)
	switch {
	case err != nil && !postern.HasCode(err, postern.CodeNotFound):
		return err
	case err == nil && !held.LastUsedAt.Before(s.expiry()):
		if held.Account != p.Account {
			return portReserved(p.PortKey)
		}
		if s.now().Sub(held.LastUsedAt) >= touchEvery {
			s.pending.touch(nil, []store.PortKey{p.PortKey}, s.now())
		}
		return nil
	}
	return s.takePort(ctx, p)
}

func (s *Service) heldPort(ctx context.Context, port store.PortKey) (store.Port, error) {
	var held store.Port
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) (err error) {
		held, err = tx.Ports().Get(ctx, port)
		return err
	})
	if err == nil {
		s.known.learnPort(held)
	}
	if postern.HasCode(err, postern.CodeStoreUnavailable) {
		if remembered, ok := s.known.port(port); ok {
			return remembered, nil
		}
	}
	return held, err
}

func (s *Service) takePort(ctx context.Context, p store.Port) error {
	return s.change(ctx, func(d *draft) error {
		before, err := d.Ports().Get(d.ctx, p.PortKey)
		if err != nil && !postern.HasCode(err, postern.CodeNotFound) {
			return err
		}
		reserved, err := reservedPort(d.ctx, d.Tx, p.PortKey)
		if err != nil {
			return err
		}
		if reserved.ID != "" && reserved.Account != p.Account {
			return portReserved(p.PortKey)
		}
		p.CreatedAt, p.LastUsedAt = d.now, d.now
		held, err := d.Ports().Claim(d.ctx, p, d.now.Add(-Reservation))
		if err != nil {
			return err
		}
		if held.Account != p.Account {
			return portReserved(p.PortKey)
		}
		d.committed = append(d.committed, func() { s.known.learnPort(held) })
		if before.Account == held.Account {
			return nil
		}
		return d.record(event.PortClaimed, held.Account, portSubject(held.PortKey), showPort(held))
	})
}

func portReserved(port store.PortKey) error {
	return postern.Errorf(postern.CodePortUnavailable, "%s port %d belongs to another account", port.Scheme, port.Port)
}

// portSubject is what events say of a port: its number alone where it is of tcp.
func portSubject(port store.PortKey) string {
	number := strconv.Itoa(int(port.Port))
	if port.Scheme == postern.UDP {
		return "udp/" + number
	}
	return number
}
