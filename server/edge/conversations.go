package edge

import "time"

// freshGrace is how long a connection that was just accepted may take to send its
// first request once the edge drains.
const freshGrace = time.Second

// enterConversation counts c in, unless the edge is ending.
func (e *Edge) enterConversation(c *conversation) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.conversations[c] = struct{}{}
	e.relays.Add(1)
	return true
}

func (e *Edge) leaveConversation(c *conversation) {
	e.mu.Lock()
	delete(e.conversations, c)
	e.mu.Unlock()
	e.relays.Done()
}

// drainConversations ends those that wait for a request; the others end with the
// exchange that they are in.
func (e *Edge) drainConversations() {
	e.draining.Store(true)
	e.mu.Lock()
	all := make([]*conversation, 0, len(e.conversations))
	for c := range e.conversations {
		all = append(all, c)
	}
	e.mu.Unlock()
	for _, c := range all {
		switch c.state.Load() {
		case waiting:
			_ = c.conn.SetReadDeadline(time.Unix(1, 0))
		case fresh:
			_ = c.conn.SetReadDeadline(time.Now().Add(freshGrace))
		}
	}
}
