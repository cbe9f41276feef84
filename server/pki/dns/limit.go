package dns

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/postern-dev/postern/internal/ledger"
)

// What the limit remembers: about 8 MiB when it is full.
const (
	shards   = 16
	perShard = 4096
)

// burst is for how many seconds' worth of answers may go at once.
const burst = 2

// verdict is what becomes of an answer.
type verdict int

const (
	send verdict = iota
	slip         // an empty one, which has the asker come again over TCP
	drop
)

// limit bounds the answers to each network: of one kind, so many a second. Questions over
// UDP can be forged, and their answers then go to somebody who has not asked. A resolver
// that is really there gets every other of those above the limit as a hint to use TCP,
// where nobody can pretend to be somebody else.
type limit struct {
	seed   maphash.Seed
	shards [shards]limitShard
}

type limitShard struct {
	sync.Mutex
	buckets *ledger.Ledger[uint64, bucket]
}

type bucket struct {
	level float64 // answers sent, less those for which time has passed
	at    time.Duration
	slips bool // the next one slips
}

func newLimit() *limit {
	l := &limit{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].buckets = ledger.New[uint64, bucket](perShard)
	}
	return l
}

// judge counts an answer. perSecond of 0 is no limit; at is the time since the server began.
func (l *limit) judge(to netip.Addr, cost string, kind uint16, perSecond int, at time.Duration) verdict {
	if perSecond <= 0 {
		return send
	}
	key := l.key(network(to), cost, kind)
	shard := &l.shards[key%shards]
	shard.Lock()
	defer shard.Unlock()
	b, _ := shard.buckets.Get(key)
	rate := float64(perSecond)
	b.level = max(0, b.level-(at-b.at).Seconds()*rate)
	b.at = at
	verdict := send
	switch {
	case b.level+1 <= rate*burst:
		b.level++
	case b.slips:
		verdict, b.slips = slip, false
	default:
		verdict, b.slips = drop, true
	}
	shard.buckets.Put(key, b)
	return verdict
}

func (l *limit) key(from netip.Prefix, cost string, kind uint16) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	address := from.Addr().As16()
	_, _ = h.Write(address[:]) // a maphash takes everything
	_, _ = h.Write([]byte{byte(kind >> 8), byte(kind)})
	_, _ = h.WriteString(cost)
	return h.Sum64()
}

// network is who counts as one asker.
func network(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 56
	if addr.Is4() {
		bits = 24
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
