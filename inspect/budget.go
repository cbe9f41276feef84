package inspect

import (
	"sync/atomic"
	"time"
)

// budget allows a number of captures a second, with a second's worth at once.
type budget struct {
	each time.Duration // a capture's share of a second; 0: no bound
	paid atomic.Int64  // until when captures are paid for, in Unix nanoseconds
}

func newBudget(perSecond int) budget {
	if perSecond <= 0 {
		return budget{}
	}
	return budget{each: time.Second / time.Duration(perSecond)}
}

func (b *budget) allow(now time.Time) bool {
	if b.each == 0 {
		return true
	}
	at := now.UnixNano()
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
