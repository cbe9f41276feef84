package api

import (
	"crypto/sha256"
	"math"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// maxThrottled bounds each of a throttle's maps, hence its memory: about 1 MiB. Beyond it,
// any entry is forgotten for each that is new.
const maxThrottled = 8192

// throttle refuses, unheard, addresses (IPv6: a /64) from which wrong keys came too often.
// A key that was right lately passes all the same: one misconfigured program does not shut
// out the office behind the same address.
type throttle struct {
	perMinute func() int // wrong keys
	now       func() time.Time

	mu       sync.Mutex
	failures map[netip.Prefix]failures
	proven   map[[32]byte]struct{}
}

// failures grow by one with each wrong key and shrink by the limit in a minute.
type failures struct {
	level float64
	at    time.Time
}

func newThrottle(perMinute func() int, now func() time.Time) *throttle {
	return &throttle{perMinute: perMinute, now: now, failures: make(map[netip.Prefix]failures), proven: make(map[[32]byte]struct{})}
}

// admits refuses an address that is over its limit; retry is then for the Retry-After
// header.
func (t *throttle) admits(from netip.Addr, key postern.Secret) (retry string, err error) {
	sum := sha256.Sum256([]byte(key.Reveal()))
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := t.perMinute()
	over := t.left(from, limit) - float64(limit-1)
	if over <= 0 {
		return "", nil
	}
	if _, proven := t.proven[sum]; proven {
		return "", nil
	}
	return strconv.Itoa(int(math.Ceil(over / float64(limit) * time.Minute.Seconds()))), postern.Errorf(postern.CodeTooManyRequests,
		"too many wrong API keys came from your address; %d a minute are heard", limit)
}

// heard notes whether a key was right.
func (t *throttle) heard(from netip.Addr, key postern.Secret, right bool) {
	sum := sha256.Sum256([]byte(key.Reveal()))
	t.mu.Lock()
	defer t.mu.Unlock()
	if right {
		remember(t.proven, sum, struct{}{})
		return
	}
	remember(t.failures, network(from), failures{level: t.left(from, t.perMinute()) + 1, at: t.now()})
}

// left is what time has left of an address's failures. t.mu is held.
func (t *throttle) left(from netip.Addr, limit int) float64 {
	f := t.failures[network(from)]
	return max(0, f.level-t.now().Sub(f.at).Minutes()*float64(limit))
}

func remember[K comparable, V any](in map[K]V, key K, value V) {
	if _, known := in[key]; !known && len(in) >= maxThrottled {
		for other := range in {
			delete(in, other)
			break
		}
	}
	in[key] = value
}

// network is what counts as one address: whoever has an IPv6 address has its /64.
func network(from netip.Addr) netip.Prefix {
	from = from.Unmap().WithZone("")
	bits := from.BitLen()
	if from.Is6() {
		bits = 64
	}
	prefix, err := from.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address at all: they share one entry
	}
	return prefix
}
