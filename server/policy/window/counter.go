package window

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/postern-dev/postern/internal/ledger"
)

// What a Limit may say.
const (
	MostCapacity = 2_000_000_000
	LeastRate    = time.Minute
	MostRate     = 24 * time.Hour
	RateStep     = 10 * time.Second
)

const (
	shards = 16
	// lots is how many shared counts a shard has.
	lots = 64
	// remembered is how many keys a Counter tells apart. A key takes 250 bytes, or up to
	// 1200 if it is used all the time: 20 MB at the very most.
	remembered = 16384
)

// Limit is how often a key may pass.
type Limit struct {
	Capacity int64         // times within any Rate
	Rate     time.Duration // the length of the window: whole RateSteps
}

// check says what is wrong with a limit, as a sentence for who set it.
func (l Limit) check() error {
	switch {
	case l.Capacity < 1 || l.Capacity > MostCapacity:
		return fmt.Errorf("capacity is %d; give a number from 1 to %d", l.Capacity, MostCapacity)
	case l.Rate < LeastRate || l.Rate > MostRate || l.Rate%RateStep != 0:
		return fmt.Errorf("rate is %v; give a whole number of 10s, from 60s to 24h", l.Rate)
	}
	return nil
}

// Counter holds the counts of a Limit's keys. It may be used concurrently, and holds
// nothing that needs closing.
type Counter struct {
	limit  Limit
	slot   int64 // the length of a group, in nanoseconds
	begin  time.Time
	seeds  [2]maphash.Seed
	shards [shards]shard
}

// digest stands for a key. Its seeds are secret, so nobody can look for two that are alike.
type digest [2]uint64

// shard has the keys whose digests say so.
type shard struct {
	mu   sync.Mutex
	keys *ledger.Ledger[digest, *history]
	lots [lots]history
	_    [64]byte // so that two shards do not share a line of the processor's cache
}

// New makes a Counter. Its error is a sentence about the limit.
func New(limit Limit) (*Counter, error) { return newCounter(limit, remembered) }

func newCounter(limit Limit, keys int) (*Counter, error) {
	if err := limit.check(); err != nil {
		return nil, err
	}
	c := &Counter{limit: limit, slot: int64(limit.Rate) / mostGroups, begin: time.Now(), seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	for i := range c.shards {
		c.shards[i].keys = ledger.New[digest, *history](max(1, keys/shards))
	}
	return c, nil
}

// Allow counts one more for a key of several parts, if there is room for it. Otherwise
// retryAfter is how long it takes until there is, if nothing else comes for the key.
func (c *Counter) Allow(now time.Time, key ...string) (ok bool, retryAfter time.Duration) {
	sum, at := c.digest(key), int64(now.Sub(c.begin))
	s := &c.shards[sum[1]%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	h, known := s.keys.Get(sum)
	if !known {
		h = &s.lots[sum[1]/shards%lots]
	}
	at = max(at, h.latest())
	h.forget(at - int64(c.limit.Rate))
	if h.total >= c.limit.Capacity {
		if known {
			s.keys.Put(sum, h) // who is refused is not forgotten for it
		}
		return false, time.Duration(h.roomAt(c.limit) - at)
	}
	if !known {
		h = h.copied()
		s.makeRoom(at-int64(c.limit.Rate), c.slot)
	}
	h.add(at, c.slot)
	s.keys.Put(sum, h)
	return true, 0
}

// makeRoom hands the count that the next new key displaces over to its lot. All the keys of
// a lot then begin with what the busiest of them had, hence none with less than its own.
func (s *shard) makeRoom(horizon, slot int64) {
	sum, displaced, is := s.keys.Displaced()
	if !is {
		return
	}
	lot := &s.lots[sum[1]/shards%lots]
	displaced.forget(horizon)
	lot.forget(horizon)
	if displaced.total > 0 {
		lot.cover(displaced, slot)
	}
}

// digest hashes the parts of a key with their lengths: "a", "bc" is not "ab", "c".
func (c *Counter) digest(key []string) (sum digest) {
	for i, seed := range c.seeds {
		var h maphash.Hash
		h.SetSeed(seed)
		for _, part := range key {
			maphash.WriteComparable(&h, len(part))
			h.WriteString(part)
		}
		sum[i] = h.Sum64()
	}
	return sum
}
