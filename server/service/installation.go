package service

import (
	"encoding/hex"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// Asker is whom an address is assigned to.
type Asker struct {
	Credential postern.Credential

	// Endpoint is the agent's name of its endpoint, "" for the nameless one.
	Endpoint string

	// Installation is whatever stays the same when the agent starts again, such as the
	// name of its machine. It need not be unique, nor be known. Only a keyed hash of it
	// is stored.
	Installation string
}

// installationBytes of a hash are stored, in hex.
const installationBytes = 12

// installation is what is stored of an asker's installation. The key, and the
// credential in it, keep readers of the database from finding out which machines are
// behind the rows, or that two accounts use the same one.
func (s *Service) installation(a Asker) string {
	sum := s.derive("installation", seriesKey{credential: a.Credential.ID, endpoint: a.Installation}, 0)
	return hex.EncodeToString(sum[:installationBytes])
}

// KeepName notes that the asker has an assigned name online, so that its installation
// is given this one of the series again. It is told by the caller, and not guessed when
// the name is assigned, because a name that turns out to be another agent's must stay
// that one's. It never blocks and cannot fail; what it notes is written soon after.
func (s *Service) KeepName(a Asker, host postern.Hostname) {
	installation := s.installation(a)
	n, known := s.known.name(host)
	if last, waits := s.pending.nameKeeper(host); waits {
		n.Installation, known = last, true
	}
	if !known || n.Installation != installation {
		s.pending.keepName(host, use{s.now(), installation})
	}
}

// KeepPort is KeepName for assigned ports.
func (s *Service) KeepPort(a Asker, scheme postern.Scheme, number uint16) {
	port := store.PortKey{Scheme: scheme, Port: number}
	installation := s.installation(a)
	p, known := s.known.port(port)
	if last, waits := s.pending.portKeeper(port); waits {
		p.Installation, known = last, true
	}
	if !known || p.Installation != installation {
		s.pending.keepPort(port, use{s.now(), installation})
	}
}

// slots orders the places of a series for an installation: those that it had last, then
// all others. The lowest comes first in both, so an agent with several endpoints, which
// asks for them in the same order every time, gets each one's name back. For an
// installation that is not known the places of others are not avoided: a fresh
// container in the place of an old one cannot be told from one that was added.
func slots(remembered map[int]store.Name, installation string) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for _, own := range []bool{true, false} {
			for slot := range maxSlots {
				n, ok := remembered[slot]
				if (ok && n.Installation == installation) == own && !yield(slot) {
					return
				}
			}
		}
	}
}
