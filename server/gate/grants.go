package gate

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"github.com/postern-dev/postern/internal/ledger"
)

// mostGrants bounds how many addresses pass by themselves; the one that signed in longest
// ago goes first.
const mostGrants = 4096

// grants are the addresses whose visitors have signed in.
type grants struct {
	life time.Duration

	mu    sync.Mutex
	until *ledger.Ledger[grantee, time.Time]
}

// grantee is an address, and the credentials with which it signed in: others that have
// come since do not let it in.
type grantee struct {
	addr netip.Addr
	mark [sha256.Size]byte
}

func newGrants(life time.Duration) *grants {
	return &grants{life: life, until: ledger.New[grantee, time.Time](mostGrants)}
}

func (g *grants) put(addr netip.Addr, mark [sha256.Size]byte, now time.Time) {
	addr = addr.Unmap()
	if !addr.IsValid() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.until.Put(grantee{addr, mark}, now.Add(g.life))
}

func (g *grants) has(addr netip.Addr, mark [sha256.Size]byte, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, found := g.until.Get(grantee{addr.Unmap(), mark})
	return found && now.Before(until)
}
