package cluster

import "time"

const (
	firstPause = time.Second      // after one failure
	mostPause  = 30 * time.Second // however many there were
)

// health is what is known of a member from the traffic itself. A member that could
// not be reached pauses; when the pause is over one connection tries it, and the
// others wait for how that ends.
type health struct {
	failures int       // in a row
	until    time.Time // when the pause ends
	trial    bool      // one connection is trying
}

// pausing tells whether the member should not be sent anything.
func (h *health) pausing(now time.Time) bool { return h.failures > 0 && now.Before(h.until) }

// picked notes that a connection will be sent to the member. After a pause that is
// the trial: a new pause starts at once, so that the others stay away meanwhile.
func (h *health) picked(now time.Time) {
	if h.failures > 0 && !h.pausing(now) {
		h.trial = true
		h.until = now.Add(pauseAfter(h.failures))
	}
}

// failed notes that the member could not be reached. Connections that were under way
// together fail together, and count once.
func (h *health) failed(now time.Time) {
	if h.pausing(now) && !h.trial {
		return
	}
	h.trial = false
	h.failures++
	h.until = now.Add(pauseAfter(h.failures))
}

// works notes that the member was reached.
func (h *health) works() { *h = health{} }

func pauseAfter(failures int) time.Duration {
	pause := firstPause
	for range failures - 1 {
		if pause *= 2; pause >= mostPause {
			return mostPause
		}
	}
	return pause
}
