// Package throttle keeps strangers from guessing at tokens and keys.
package throttle

import (
	"crypto/sha256"
	"net/netip"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/ledger"
)

const (
	// remembered bounds each ledger of a Throttle, hence its memory: about 1 MiB.
	remembered = 8192
	// failuresPerSecret is how often a minute one wrong secret may be tried. SDKs retry
	// a refused token for ever, but never faster than this after the first seconds.
	failuresPerSecret = 10
)

// Throttle refuses, unheard, those who failed too often: a secret by its hash, and
// an address (IPv6: a /64). The work per attempt is constant, the memory bounded.
//
// Only wrong secrets count against a secret, so nobody can lock one out by guessing at
// it. A secret that was right lately passes an address that is over its limit: one
// misconfigured program does not take the office behind the same address offline.
//
// Its methods may be called concurrently.
type Throttle struct {
	now func() time.Time

	mu        sync.Mutex
	addresses *ledger.Ledger[netip.Prefix, bucket]
	secrets   *ledger.Ledger[[32]byte, bucket]
	proven    *ledger.Ledger[[32]byte, struct{}]
}

// bucket fills by one per failure and leaks at its limit per minute.
type bucket struct {
	level float64
	at    time.Time
}

// New makes a Throttle; now is time.Now where it is not a test's.
func New(now func() time.Time) *Throttle {
	return &Throttle{
		now:       now,
		addresses: ledger.New[netip.Prefix, bucket](remembered),
		secrets:   ledger.New[[32]byte, bucket](remembered),
		proven:    ledger.New[[32]byte, struct{}](remembered),
	}
}

// Admits tells whether an attempt may be heard, where perAddress failures within a minute
// may come from one address; wait is for how long not, and 0 where it may.
func (t *Throttle) Admits(addr netip.Addr, secret postern.Secret, perAddress int) (wait time.Duration) {
	sum := sha256.Sum256([]byte(secret.Reveal()))
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b, _ := t.secrets.Get(sum)
	if wait := b.wait(now, failuresPerSecret); wait > 0 {
		return wait
	}
	if _, proven := t.proven.Get(sum); proven {
		return 0
	}
	b, _ = t.addresses.Get(network(addr))
	return b.wait(now, perAddress)
}

// Failed notes that the secret was wrong.
func (t *Throttle) Failed(addr netip.Addr, secret postern.Secret, perAddress int) {
	sum := sha256.Sum256([]byte(secret.Reveal()))
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	b, _ := t.secrets.Get(sum)
	t.secrets.Put(sum, bucket{level: b.leaked(now, failuresPerSecret) + 1, at: now})
	b, _ = t.addresses.Get(network(addr))
	t.addresses.Put(network(addr), bucket{level: b.leaked(now, perAddress) + 1, at: now})
}

// Succeeded notes that the secret was right.
func (t *Throttle) Succeeded(secret postern.Secret) {
	sum := sha256.Sum256([]byte(secret.Reveal()))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proven.Put(sum, struct{}{})
}

// wait is how long it takes until there is room for one more.
func (b bucket) wait(now time.Time, perMinute int) time.Duration {
	over := b.leaked(now, perMinute) - float64(perMinute-1)
	if over <= 0 {
		return 0
	}
	return max(1, time.Duration(over/float64(perMinute)*float64(time.Minute)))
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
