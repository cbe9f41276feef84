package service

import (
	"hash/maphash"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// What may be guessed, and how fast that is forgotten.
const (
	guessesThere = 5 // at one person's password, from one network
	forgetThere  = 3 * time.Minute
	guessesHere  = 30 // at anybody's, from one network
	forgetHere   = time.Minute
	guessesAt    = 60 // at one person's, from anywhere
	forgetAt     = time.Minute

	provenFor = 30 * 24 * time.Hour
)

// guesses bounds how often passwords are guessed, in a fixed amount of memory: counters
// lie where a keyed hash of what they count puts them, and the few that share a place
// share their bounds.
//
// Who guesses at a person from everywhere cannot lock that person out: a network from
// which the password was right lately is not held to what others have guessed.
type guesses struct {
	hash func(text string) uint64 // keyed: nobody outside can tell what shares a place

	mu     sync.Mutex
	counts [1 << 13]guessCount
	proven [1 << 12]provenNetwork
}

// guessCount leaks: empty is when it will have forgotten everything.
type guessCount struct{ empty time.Time }

type provenNetwork struct {
	key   uint64
	until time.Time
}

func newGuesses() *guesses {
	seed := maphash.MakeSeed()
	return &guesses{hash: func(text string) uint64 { return maphash.String(seed, text) }}
}

// guess is an attempt that is counted before it is known whether it is right.
type guess struct {
	of              *guesses
	there, here, at uint64
	anywhere        bool
}

// take counts an attempt at a person's password. CodeTooManyFailures says that it must
// not be made.
func (g *guesses) take(now time.Time, email string, addr netip.Addr) (guess, error) {
	network := networkOf(addr).String()
	a := guess{of: g, there: g.key("there", email, network), here: g.key("here", network), at: g.key("at", email)}
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.proven[a.there%uint64(len(g.proven))]
	a.anywhere = known.key != a.there || now.After(known.until)
	for _, one := range a.bounds() {
		if !g.count(one.key).fits(now, one.forget, one.most) {
			return guess{}, postern.Errorf(postern.CodeTooManyFailures, "too many attempts to sign in; wait a few minutes")
		}
	}
	for _, one := range a.bounds() {
		g.count(one.key).add(now, one.forget)
	}
	return a, nil
}

// right takes the attempt back: it was no guess.
func (a guess) right(now time.Time) {
	g := a.of
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, one := range a.bounds() {
		g.count(one.key).add(now, -one.forget)
	}
	g.proven[a.there%uint64(len(g.proven))] = provenNetwork{key: a.there, until: now.Add(provenFor)}
}

type guessBound struct {
	key    uint64
	most   int
	forget time.Duration
}

// bounds are those that hold for the attempt.
func (a guess) bounds() []guessBound {
	all := []guessBound{{a.there, guessesThere, forgetThere}, {a.here, guessesHere, forgetHere}}
	if a.anywhere {
		all = append(all, guessBound{a.at, guessesAt, forgetAt})
	}
	return all
}

func (g *guesses) count(key uint64) *guessCount { return &g.counts[key%uint64(len(g.counts))] }

func (c *guessCount) fits(now time.Time, forget time.Duration, most int) bool {
	return c.empty.Sub(now) <= forget*time.Duration(most-1)
}

func (c *guessCount) add(now time.Time, forget time.Duration) {
	if c.empty.Before(now) {
		c.empty = now
	}
	c.empty = c.empty.Add(forget)
}

// key is a hash of texts, none of which has a NUL.
func (g *guesses) key(parts ...string) uint64 { return g.hash(strings.Join(parts, "\x00")) }

// networkOf is what counts as one address: whoever has an IPv6 address has its /64.
func networkOf(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: they share one
	}
	return prefix
}
