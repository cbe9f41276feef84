package quota

import (
	"sync/atomic"
	"time"
)

// bucket is a leaky bucket in one word: the time, since the meter's beginning, at which
// all that was taken from it will have leaked out (the generic cell rate algorithm). The
// zero value is empty.
type bucket struct{ emptyAt atomic.Int64 }

// take adds cost unless the bucket would then hold more than depth; it then says how
// long to wait before cost fits.
func (b *bucket) take(now, cost, depth int64) (wait time.Duration, ok bool) {
	for {
		before := b.emptyAt.Load()
		after := max(before, now) + cost
		if over := after - now - depth; over > 0 {
			return time.Duration(over), false
		}
		if b.emptyAt.CompareAndSwap(before, after) {
			return 0, true
		}
	}
}

// charge adds cost, however full the bucket is.
func (b *bucket) charge(now, cost int64) {
	for {
		before := b.emptyAt.Load()
		if b.emptyAt.CompareAndSwap(before, max(before, now)+cost) {
			return
		}
	}
}

// giveBack takes cost out again.
func (b *bucket) giveBack(cost int64) { b.emptyAt.Add(-cost) }

// debt is how long it takes until the bucket holds no more than depth.
func (b *bucket) debt(now, depth int64) time.Duration {
	return time.Duration(max(0, b.emptyAt.Load()-now-depth))
}

// empty forgets what was taken.
func (b *bucket) empty() { b.emptyAt.Store(0) }
