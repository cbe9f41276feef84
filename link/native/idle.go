package native

import "time"

const (
	// A further carrier that nobody has used for idleLimit is drained, and closed at
	// one of the next looks.
	idleLimit = 30 * time.Second
	lookIdle  = 5 * time.Second
)

// watch has look run every now and then while there are further carriers. mu is held.
func (c *carriers) watch() {
	if c.looking == nil {
		c.looking = time.AfterFunc(lookIdle, c.look)
	}
}

// look brings streams home that have gone quiet: a WebSocket that was bulk once, or a
// connection that waits for its next request, would keep a carrier as long as it
// lives. The agent then closes carriers that are idle.
func (c *carriers) look() {
	c.mu.Lock()
	if c.ended || len(c.all) == 0 {
		c.looking = nil
		c.mu.Unlock()
		return
	}
	var away []*stream
	for _, s := range c.streams {
		if s.placed != nil {
			away = append(away, s)
		}
	}
	c.mu.Unlock()
	now := time.Now()
	for _, s := range away {
		s.comeHome(now)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	if c.closes {
		c.closeIdle(now)
	}
	c.looking.Reset(lookIdle)
}

// comeHome takes a stream that has nothing to send back to carrier 0. It waits for
// nothing: a Write that is under way is not quiet.
func (s *stream) comeHome(now time.Time) {
	if s.carriers.forced != nil || !s.writing.TryLock() {
		return
	}
	defer s.writing.Unlock()
	if s.out.on != nil && s.meter.calm(now) {
		s.goHome()
	}
}

// closeIdle closes carriers that have been idle for long: first the peer is asked to
// move nothing to them, at the next look they go if nothing came meanwhile. mu is
// held.
func (c *carriers) closeIdle(now time.Time) {
	keep := 0
	for _, f := range c.all {
		used := f.uses != f.seen || f.Streams() > 0
		f.seen = f.uses
		if used {
			f.idle = now
			keep = spares
		}
	}
	for _, f := range c.all {
		switch {
		case f.joining || f.idle == now:
		case f.retiring:
			f.Close(nil)
		case now.Sub(f.idle) < idleLimit:
		case keep > 0:
			keep-- // bulk goes on elsewhere
		default:
			f.retiring = true
			f.Drain()
		}
	}
}
