package inspect

import (
	"sync/atomic"
	"time"
)

// budget allows a number of captures a second, with a second's worth at once.
type budget struct {
	each  time.Duration // a capture's share of a second; 0: no bound
	began time.Time
	paid  atomic.Int64 // until when captures are paid for, in nanoseconds since began
}

func newBudget(perSecond int) budget {
	if perSecond <= 0 {
		return budget{}
	}
	return budget{each: time.Second / time.Duration(perSecond), began: time.Now()}
}

func (b *budget) allow(now time.Time) bool {
	if b.each == 0 {
		return true
	}
	at := int64(now.Sub(b.began)) // the clock on the wall may be set back
	for {
		paid := b.paid.Load()
		next := max(paid, at) + int64(b.each)
		if next > at+int64(time.Second) {
			return false
		}
		if b.paid.CompareAndSwap(paid, next) {
			return true
		}
	}
}
