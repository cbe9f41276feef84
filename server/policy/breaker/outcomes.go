package breaker

import "time"

const buckets = 10

// outcomes are those of a sliding window, counted in buckets: what is in a bucket is
// forgotten together. The zero value is empty.
type outcomes struct {
	began  time.Time // the first bucket that there was
	newest int64     // the number of the newest bucket since then
	counts [buckets]struct{ all, bad int64 }
}

// add counts one more.
func (o *outcomes) add(now time.Time, window time.Duration, failed bool) {
	if o.began.IsZero() {
		o.began = now
	}
	at := max(o.newest, int64(now.Sub(o.began)/(window/buckets)))
	for passed := min(at-o.newest, buckets); passed > 0; passed-- {
		o.counts[(at-passed+1)%buckets].all, o.counts[(at-passed+1)%buckets].bad = 0, 0
	}
	o.newest = at
	bucket := &o.counts[at%buckets]
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
