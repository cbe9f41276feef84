package mux

import (
	"sync/atomic"
	"time"
)

// On a narrow path a full batch is seconds of waiting for whoever comes behind it.
const (
	// heldUp is how long a write to the connection takes that waits for the path; the
	// machine alone is done sooner.
	heldUp = 5 * time.Millisecond
	// batchTime is how long the bulk of one write should take on the path.
	batchTime = 50 * time.Millisecond
)

// pace keeps the bulk of one batch to what the path carries in batchTime. Session.wmu
// guards it but for slow.
type pace struct {
	most int         // bytes; 0: bulkMost
	slow atomic.Bool // most is below bulkMost
}

// bulk is how much bulk a batch may have.
func (p *pace) bulk() int {
	if p.most == 0 {
		return bulkMost
	}
	return p.most
}

// wrote learns from a write of n bytes. What went at once shows only that there was
// room for so much, so trust comes back with the bytes.
func (p *pace) wrote(n int, took time.Duration) {
	switch {
	case took >= heldUp && n >= maxPayload:
		p.most = min(max(int(int64(n)*int64(batchTime)/int64(took)), maxPayload), bulkMost)
	case took < heldUp && p.slow.Load():
		p.most = min(p.most+n, bulkMost)
	default:
		return
	}
	p.slow.Store(p.most < bulkMost)
}

// Slow tells whether the stream's connection has lately taken bytes so slowly that
// they gather: less than bulkMost in batchTime.
func (st *Stream) Slow() bool { return st.session.out.pace.slow.Load() }
