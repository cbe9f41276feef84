package edge

import "time"

// pace is what visitors are held to while we wait for them: to send a request's body,
// or to take what is sent to them. Waiting for anybody else does not count, so what
// has nothing to say (a stream of events, a WebSocket) may be silent for ever.
type pace struct {
	grace time.Duration // how long a visitor may keep us waiting who has moved nothing
	most  time.Duration // the same for one who has moved much; 0 is for ever
	rate  int64         // every so many bytes earn a second more; 0: any byte earns most
}

// pace gives what is in force for a connection or request that begins now.
func (l *Live) pace() pace {
	return pace{grace: l.Timeouts.Patience, most: l.Timeouts.Transfer, rate: max(0, l.Limits.LeastRate)}
}

// patience is what is left of it for one visitor and one direction. Slower ones than
// the rate use it up, whatever they moved before: it never grows beyond most, so that
// a quick beginning does not pay for hours.
type patience struct {
	pace
	left time.Duration // how long the next wait may take; never used where most is 0
}

func (p pace) begin() patience {
	left := p.most
	if p.rate > 0 {
		left = min(p.grace, p.most)
	}
	return patience{pace: p, left: left}
}

// spend takes off how long we waited.
func (p *patience) spend(waited time.Duration) { p.left -= waited }

// earn adds what n bytes are worth.
func (p *patience) earn(n int64) {
	if n <= 0 {
		return
	}
	if p.rate == 0 || n/p.rate > int64(p.most/time.Second) {
		p.left = p.most
		return
	}
	// In two parts: n seconds in nanoseconds are too many for 64 bits.
	earned := time.Duration(n/p.rate)*time.Second + time.Duration(n%p.rate)*time.Second/time.Duration(p.rate)
	p.left = min(p.left+earned, p.most)
}
