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
	// leastPace keeps the overhead of frames small, however slow the path is.
	leastPace = 4 << 10
)

// pace keeps the bulk of one batch, and what bulk leaves in the kernel unsent, to what
// the path carries in batchTime. Session.wmu guards it but for slow.
type pace struct {
	most int         // bytes; 0: bulkMost
	slow atomic.Bool // most is below bulkMost
}

// careful starts on a path that takes time: what it carries is to be seen, and what
// the kernel has taken stands before everybody.
func (p *pace) careful() {
	if p.most == 0 {
		p.set(maxPayload)
	}
}

// trust ends that where the path takes no time after all.
func (p *pace) trust() {
	if p.slow.Load() {
		p.set(bulkMost)
	}
}

func (p *pace) set(most int) {
	p.most = min(max(most, leastPace), bulkMost)
	p.slow.Store(p.most < bulkMost)
}

// bulk is how much bulk a batch may have.
func (p *pace) bulk() int {
	if p.most == 0 {
		return bulkMost
	}
	return p.most
}

// frame is how much a stream may send in its turn.
func (p *pace) frame() int { return min(p.bulk(), maxPayload) }

// unsent is how much the kernel may have to send when bulk goes on.
func (p *pace) unsent() int { return p.bulk() / 2 }

// wrote learns from a write of n bytes, of which the kernel has unsent left. What went
// at once shows only that there was room for so much, so trust comes back with the
// bytes.
func (p *pace) wrote(n int, took time.Duration, unsent int) {
	switch {
	case took >= heldUp && n >= maxPayload:
		p.set(int(int64(n) * int64(batchTime) / int64(took)))
	case took < heldUp && n > smallWrite && unsent <= leastPace && p.slow.Load():
		p.set(p.most + n)
	}
}

// sent learns that n bytes left the kernel in that time. Acknowledgements, and so
// bytes, may come in bursts, one each round trip.
func (p *pace) sent(n int, took, roundTrip time.Duration) {
	took = max(took, roundTrip/2)
	p.set(min(int(int64(n)*int64(batchTime)/int64(took)), 2*p.bulk()))
}

// Slow tells whether the stream's connection has lately taken bytes so slowly that
// they gather: less than bulkMost in batchTime.
func (st *Stream) Slow() bool { return st.session.out.pace.slow.Load() }
