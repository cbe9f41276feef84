package chisel

import "time"

const (
	// lookTime is how often a connection on which something arrives is looked at.
	lookTime = 25 * time.Millisecond
	// stale is how long ago the last look may be for the rate in between to mean something.
	stale = time.Second
	// A path is slow once bytes have stood in it for standTime longer than it takes by
	// itself, and standBytes of them, in standLooks looks in a row.
	standTime  = 5 * time.Millisecond
	standBytes = 32 << 10
	standLooks = 3
	// spareTime is what a held window has room for beyond two round trips of an empty
	// path, so that neither end's processor need be in time.
	spareTime = 10 * time.Millisecond
	// leastWindow is the least that is ever held, and mostWindow what it is not worth to.
	leastWindow = 64 << 10
	mostWindow  = 2 << 20
	// A window that takes more than a fifth of the rate away, in freeLooks looks in a
	// row, was held in vain: others fill the path, or it has changed. It is not held
	// again for a while, which doubles each time.
	freeLooks = 8
	// growLooks in a row in which the path would carry more end it: the kernel keeps the
	// buffer as it is while a window is held, and only the kernel can make it larger.
	growLooks    = 4
	shortestFree = 15 * time.Second
	longestFree  = 10 * time.Minute
)

// receiveWindow decides how much a peer may have under way towards us. The kernel allows
// more and more as long as more comes; where the path is slow all that is more than the
// path carries stands before it, in the network and in the peer's send buffer, whose size
// follows what is under way: a small answer waits behind all of it. There it is held near
// twice what an empty path carries.
//
// It works while TCP is one from end to end: what stands in a proxy on the way, or has
// been granted to SSH's channels, is not seen. It has no clock of its own and no lock.
type receiveWindow struct {
	size int // that is held; 0: the kernel's choice

	last      pathState
	stood     int       // looks in a row with a queue
	since     pathState // the first of them
	before    float64   // the rate in them
	failed    int       // looks in a row in which holding did harm
	wanting   int       // looks in a row in which there was room for much more
	freeUntil time.Time
	free      time.Duration
}

// pathState is what is known of a path at one time.
type pathState struct {
	at       time.Time
	received uint64        // bytes in all
	rtt      time.Duration // smoothed
	base     time.Duration // the least of the last minutes
}

func (s pathState) rateSince(last pathState) float64 {
	return float64(s.received-last.received) / s.at.Sub(last.at).Seconds()
}

// look takes what is known now and gives the window that is to be held; 0 leaves it to
// the kernel.
func (w *receiveWindow) look(now pathState) int {
	last := w.last
	w.last = now
	passed := now.at.Sub(last.at)
	if passed <= 0 || passed > stale || now.rtt <= 0 || now.base <= 0 {
		w.stood, w.failed, w.wanting = 0, 0, 0
		return w.size
	}
	rate := now.rateSince(last)
	if w.size == 0 {
		w.maybeHold(now, rate)
	} else {
		w.adjust(now, rate)
	}
	return w.size
}

// fitting is the window for a rate.
func fitting(base time.Duration, rate float64) int {
	return max(int(rate*(2*base+spareTime).Seconds()), leastWindow)
}

// maybeHold begins to hold a window where bytes stand before the path.
func (w *receiveWindow) maybeHold(now pathState, rate float64) {
	stands := now.rtt - now.base
	if stands < max(standTime, now.base) || rate*stands.Seconds() < standBytes || now.at.Before(w.freeUntil) {
		w.stood = 0
		return
	}
	if w.stood == 0 {
		w.since = now
	}
	if w.stood++; w.stood <= standLooks {
		return
	}
	rate = now.rateSince(w.since)
	if size := fitting(now.base, rate); size < mostWindow {
		w.size, w.before, w.stood, w.failed = size, rate, 0, 0
	}
}

// adjust follows the rate down, or lets go.
func (w *receiveWindow) adjust(now pathState, rate float64) {
	full := rate*now.rtt.Seconds() >= 0.7*float64(w.size) // the window is what limits
	want := fitting(now.base, rate)
	if want > w.size+w.size/2 { // hardly anything stands before the path
		w.wanting++
	} else {
		w.wanting = 0
	}
	switch {
	case want >= mostWindow, w.wanting >= growLooks:
		w.letGo(now.at, 0)
		return
	case full && want < w.size/2:
		w.size = want
	}
	if !full || rate >= 0.8*w.before {
		w.failed = 0
		return
	}
	if w.failed++; w.failed >= freeLooks {
		w.letGo(now.at, min(max(2*w.free, shortestFree), longestFree))
	}
}

// letGo leaves the window to the kernel, for a while at least.
func (w *receiveWindow) letGo(at time.Time, wait time.Duration) {
	w.size, w.stood, w.failed, w.wanting = 0, 0, 0, 0
	w.free = wait
	w.freeUntil = at.Add(wait)
}
