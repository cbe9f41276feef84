package inspect

import (
	"math"
	"time"
)

// tick is how often the averages take in what has happened.
const tick = 5 * time.Second

// rates are exponentially weighted averages of events a second over one, five and
// fifteen minutes, as system loads are. Nothing runs between events: the ticks that
// were missed are made up for.
type rates struct {
	next    time.Time // end of the current tick; zero before the first event
	pending int64     // events of the current tick
	started bool      // a first tick has ended
	perSec  [3]float64
}

// add notes an event.
func (r *rates) add(now time.Time) {
	r.catchUp(now)
	r.pending++
}

func (r *rates) catchUp(now time.Time) {
	if r.next.IsZero() {
		r.next = now.Add(tick)
		return
	}
	late := now.Sub(r.next)
	if late < 0 {
		return
	}
	idle := int64(late / tick) // whole ticks without an event
	recent := float64(r.pending) / tick.Seconds()
	for i, minutes := range [...]float64{1, 5, 15} {
		weight := 1 - math.Exp(-tick.Minutes()/minutes)
		if r.started {
			r.perSec[i] += weight * (recent - r.perSec[i])
		} else {
			r.perSec[i] = recent
		}
		r.perSec[i] *= math.Pow(1-weight, float64(idle))
	}
	r.pending, r.started = 0, true
	r.next = r.next.Add(time.Duration(idle+1) * tick)
}
