package breaker

import "time"

// Buckets is in how many parts a window is counted.
const Buckets = 10

// outcomes are those of a sliding window, counted in buckets: what is in a bucket is
// forgotten together. The zero value is empty.
type outcomes struct {
	began  time.Time // the first bucket that there was
	newest int64     // the number of the newest bucket since then
	counts [Buckets]struct{ all, bad int64 }
}

// add counts one more.
func (o *outcomes) add(now time.Time, window time.Duration, failed bool) {
	if o.began.IsZero() {
		o.began = now
	}
	at := max(o.newest, int64(now.Sub(o.began)/(window/Buckets)))
	for passed := min(at-o.newest, Buckets); passed > 0; passed-- {
		o.counts[(at-passed+1)%Buckets].all, o.counts[(at-passed+1)%Buckets].bad = 0, 0
	}
	o.newest = at
	bucket := &o.counts[at%Buckets]
	bucket.all++
	if failed {
		bucket.bad++
	}
}

// count sums up.
func (o *outcomes) count() (all, bad int64) {
	for _, bucket := range o.counts {
		all += bucket.all
		bad += bucket.bad
	}
	return all, bad
}
