package inspect

import "time"

// capture is an exchange that is being kept. Its stream's lock guards it.
type capture struct {
	store    *Store
	entry    *entry // nil before the first publish
	exchange Exchange
	answer   Message
	reserved int64
	gone     bool // forgotten meanwhile: nothing more is kept

	requestDone, answered bool
	changed               bool // since the last publish
}

// begin takes the head of a message.
func (c *capture) begin(m *Message, head []byte, body int64) {
	room := len(head)
	if body > 0 {
		room += int(min(body, c.mostBody(), 4<<10))
	}
	if c.gone || !c.reserve(int64(room)) {
		m.Cut = true
		return
	}
	m.Raw = append(make([]byte, 0, room), head...)
	m.Head = len(head)
}

// add takes bytes of a body.
func (c *capture) add(m *Message, p []byte) {
	m.Size += int64(len(p))
	if m.Cut || c.gone {
		m.Cut = true
		return
	}
	if left := c.mostBody() - int64(len(m.Raw)-m.Head); int64(len(p)) > left {
		p, m.Cut = p[:left], true
	}
	if need := len(m.Raw) + len(p); need > cap(m.Raw) {
		room := max(need, 2*cap(m.Raw))
		if !c.reserve(int64(room - cap(m.Raw))) {
			m.Cut = true
			return
		}
		// What was published keeps the old array.
		m.Raw = append(make([]byte, 0, room), m.Raw...)
	}
	m.Raw = append(m.Raw, p...)
}

func (c *capture) mostBody() int64 { return c.store.most / largestShare }

func (c *capture) reserve(bytes int64) bool {
	if !c.store.reserve(bytes) {
		return false
	}
	c.reserved += bytes
	return true
}

// answerEnded notes how long it took.
func (c *capture) answerEnded(now time.Time) {
	c.answered, c.changed = true, true
	c.exchange.Duration = now.Sub(c.exchange.Start)
}

// abandon ends an exchange that is not followed any further.
func (c *capture) abandon(problem string) {
	if c.exchange.Done {
		return
	}
	c.exchange.Problem = problem
	c.exchange.Done, c.changed = true, true
	c.publish()
}

// publish shows the store what is known now. An exchange is done once both messages
// have ended.
func (c *capture) publish() {
	if !c.changed || c.gone {
		return
	}
	c.changed = false
	done := c.exchange.Done || c.requestDone && c.answered
	c.exchange.Done = done
	snapshot := c.exchange
	if snapshot.Response != nil {
		answer := c.answer
		snapshot.Response = &answer
	}
	e := c.store.put(c.entry, &snapshot, c.reserved)
	if e == nil {
		c.gone = true
		c.store.release(c.reserved)
		return
	}
	c.entry = e
}
