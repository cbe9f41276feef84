package control

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

const (
	// remembered bounds each ledger of the throttle, hence its memory: about 1 MiB.
	remembered = 8192
	// failuresPerToken is how often a minute one wrong token may be tried. SDKs retry
	// a refused token for ever, but never faster than this after the first seconds.
	failuresPerToken = 10
)

// throttle refuses, unheard, those who failed too often: a token by its hash, and
// an address (IPv6: a /64). The work per attempt is constant, the memory bounded.
//
// Only wrong tokens count against a token, so nobody can lock a credential out by
// guessing at it. A token that was right lately passes an address that is over its
// limit: one misconfigured agent does not take the office behind the same address
// offline.
type throttle struct {
	mu        sync.Mutex
	addresses *ledger[netip.Prefix, bucket]
	tokens    *ledger[[32]byte, bucket]
	proven    *ledger[[32]byte, struct{}]
}

// bucket fills by one per failure and leaks at its limit per minute.
type bucket struct {
	level float64
	at    time.Time
}

func newThrottle() *throttle {
	return &throttle{
		addresses: newLedger[netip.Prefix, bucket](remembered),
		tokens:    newLedger[[32]byte, bucket](remembered),
		proven:    newLedger[[32]byte, struct{}](remembered),
	}
}

// admits tells whether an attempt may be heard.
func (t *throttle) admits(addr netip.Addr, token postern.Secret, perAddress int) bool {
	sum := sha256.Sum256([]byte(token))
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if b, _ := t.tokens.get(sum); b.leaked(now, failuresPerToken) > failuresPerToken-1 {
		return false
	}
	if _, proven := t.proven.get(sum); proven {
		return true
	}
	b, _ := t.addresses.get(network(addr))
	return b.leaked(now, perAddress) <= float64(perAddress-1)
}

// failed notes that the token was wrong.
func (t *throttle) failed(addr netip.Addr, token postern.Secret, perAddress int) {
	sum := sha256.Sum256([]byte(token))
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b, _ := t.tokens.get(sum)
	t.tokens.put(sum, bucket{level: b.leaked(now, failuresPerToken) + 1, at: now})
	b, _ = t.addresses.get(network(addr))
	t.addresses.put(network(addr), bucket{level: b.leaked(now, perAddress) + 1, at: now})
}

// succeeded notes that the token was right.
func (t *throttle) succeeded(token postern.Secret) {
	sum := sha256.Sum256([]byte(token))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proven.put(sum, struct{}{})
}

// leaked is the level now, where perMinute leak out in a minute.
func (b bucket) leaked(now time.Time, perMinute int) float64 {
	return max(0, b.level-now.Sub(b.at).Minutes()*float64(perMinute))
}

// network is what counts as one address: whoever has an IPv6 address has its /64.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all: they share one bucket
	}
	return prefix
}
