package native

import (
	"math"
	"time"
)

const (
	// On a path of less than nearPath a carrier is as fast as the machine: more than
	// mostNear gain nothing there, and cost small requests the scheduler's turns.
	nearPath = 2 * time.Millisecond
	mostNear = 4
)

// far tells a path that takes time from one on which only the processors do.
func (c *carriers) far() bool { return c.path() >= nearPath }

// hungryFor is how long a stream that found no carrier for itself counts as one that
// wants it. A stream that is bulk asks many times a second.
const hungryFor = time.Second

// place decides where a stream that is bulk goes on, after it has moved bytes on
// its present carrier: to a spare one, which it then has for itself; from carrier 0
// also to the one with least in flight, unless that has its share and others are
// coming. to is nil where it stays. from is where it was, for putBack.
func (c *carriers) place(s *stream, moved int, slow bool) (to, from *further) {
	c.mu.Lock()
	defer c.mu.Unlock()
	from = s.placed
	if s.over || c.ended || !c.on || from != nil && from.bulk <= 1 {
		return nil, from
	}
	spare, least := c.choose(from)
	switch {
	case spare != nil && (from == nil || moved >= betterAfter || slow && moved >= betterAfterSlow):
		to = spare
	case from == nil && least != nil && least.bulk < c.share(s):
		to = least
	}
	if to != nil {
		c.put(s, to)
	}
	if s.placed == nil || s.placed.bulk > 1 {
		c.hungry[s] = time.Now()
	} else {
		delete(c.hungry, s)
	}
	c.grow()
	return to, from
}

// share is how many of the streams that are bulk, s included, a carrier takes: on a
// path that takes time they would all go to the first that is there, and stay until
// their readers have come after them. mu is held.
func (c *carriers) share(s *stream) int {
	if !c.far() || c.coming <= 0 || time.Since(c.askedAt) > askAgain {
		return math.MaxInt
	}
	streams, usable := len(c.hungry), c.coming
	if _, counted := c.hungry[s]; !counted {
		streams++
	}
	for _, f := range c.all {
		if f.usable() {
			streams += f.bulk // some are hungry as well
			usable++
		}
	}
	return (streams + usable - 1) / usable
}

// choose finds the spare carrier of the lowest number, so that others can idle, and
// the one with least in flight. mu is held.
func (c *carriers) choose(but *further) (spare, least *further) {
	var load, each int64
	if c.far() {
		each = bulkAfter // what is to come of a stream does not show yet
	}
	for _, f := range c.all {
		if f == but || !f.usable() {
			continue
		}
		if f.bulk == 0 && (spare == nil || f.number < spare.number) {
			spare = f
		}
		if l := f.InFlight() + int64(f.bulk)*each; least == nil || l < load {
			least, load = f, l
		}
	}
	return spare, least
}

// put counts a stream on f (nil: carrier 0). mu is held.
func (c *carriers) put(s *stream, f *further) {
	if s.placed != nil {
		s.placed.bulk--
	}
	s.placed = f
	if f != nil {
		f.bulk++
		f.uses++
	}
}

// putBack undoes place for a stream that could not move.
func (c *carriers) putBack(s *stream, from *further) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !s.over {
		c.put(s, from)
	}
}

// leave counts a stream on carrier 0 again.
func (c *carriers) leave(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(s, nil)
	delete(c.hungry, s)
}

// retire is leave for good. mu is held.
func (c *carriers) retire(s *stream) {
	c.put(s, nil)
	delete(c.hungry, s)
	s.over = true
}

// grow asks for the carriers that would be of use now: one for each stream that
// shares, and spares while there is bulk. mu is held.
func (c *carriers) grow() {
	if c.more == nil {
		return
	}
	free, have, busy := 0, 0, false
	for _, f := range c.all {
		if !f.joining {
			have++
		}
		if f.bulk > 0 {
			busy = true
		} else if f.usable() {
			free++
		}
	}
	most := c.most
	if !c.far() {
		most = min(most, mostNear)
	}
	room := most - have
	if room <= 0 {
		return
	}
	for s, at := range c.hungry {
		if time.Since(at) > hungryFor {
			delete(c.hungry, s) // it has gone quiet since
		}
	}
	hungry := len(c.hungry)
	if n := min(hungry+spares-free, room); n > 0 && (busy || hungry > 0) {
		c.more(n)
	}
}
