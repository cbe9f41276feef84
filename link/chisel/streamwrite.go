package chisel

import (
	"time"
)

const (
	// shortWrite is how long a write is that need not be handed to another goroutine,
	// which would take longer than sending it. Of such writes a stream gets shortTotal,
	// half the window that chisel's peers, and ours, give in advance: they cannot be
	// stopped by a target that does not read, and need no deadline.
	shortWrite = 4 << 10
	shortTotal = 1 << 20
)

// short tells whether p can be sent at once. mu is held.
func (s *stream) short(p []byte) bool {
	return len(p) <= shortWrite && s.written+len(p) <= shortTotal && s.channel != nil && !s.draining && s.outN == 0
}

// writeShort sends p. mu is held, and given up meanwhile; nobody else sends.
func (s *stream) writeShort(p []byte) int {
	s.draining = true
	s.written += len(p)
	s.half.answered = false
	s.mu.Unlock()
	err := s.tunnel.write(s.channel, p)
	if err != nil {
		err = s.broken(err)
	}
	s.mu.Lock()
	s.draining = false
	if err != nil {
		if s.writeError == nil {
			s.writeError = err
		}
		s.kick()
		return 0
	}
	s.kick()
	return len(p)
}

// kick has somebody send what there is to send. mu is held.
func (s *stream) kick() {
	if s.channel == nil || s.draining || s.told || s.why != nil {
		return
	}
	if s.outN > 0 || s.draw != nil || s.closed || s.half.asked && s.half.due && !s.half.told {
		s.draining = true
		go s.drain()
	}
}

// drain sends what was written, then the end.
func (s *stream) drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.why == nil && !s.told {
		switch {
		case s.outN > 0 && s.writeError == nil:
			s.drainOnce()
		case s.closed:
			s.told = true
			s.mu.Unlock()
			_ = s.channel.Close() // fails only where all has ended
			s.mu.Lock()
			s.forget()
		case s.half.asked && s.half.due && !s.half.told:
			s.half.told = true
			s.mu.Unlock()
			_ = s.channel.CloseWrite()
			s.mu.Lock()
		case s.draw != nil && s.writeError == nil:
			s.drawOnce()
		default:
			s.draining = false
			return
		}
	}
	s.draining = false
}

// drainOnce sends one buffer. mu is held, and given up meanwhile.
func (s *stream) drainOnce() {
	out, n := s.out, s.outN
	s.out, s.outN = nil, 0
	s.room.Broadcast()
	s.mu.Unlock()
	s.send(out, n)
}

// send sends the first n bytes of out, which it gives back. mu is not held, and is when it
// returns.
func (s *stream) send(out *slab, n int) {
	err := s.tunnel.write(s.channel, out[:n])
	slabs.Put(out)
	if err != nil {
		err = s.broken(err)
	}
	s.mu.Lock()
	if err != nil && s.writeError == nil {
		s.writeError = err
		s.discardOut()
		s.room.Broadcast()
	}
}

// discardOut throws away what was written and not yet sent. mu is held.
func (s *stream) discardOut() {
	if s.out != nil {
		slabs.Put(s.out)
		s.out, s.outN = nil, 0
	}
}

// tellReset ends the channel abnormally.
func (s *stream) tellReset() {
	s.mu.Lock()
	channel, why := s.channel, s.why
	told := s.told
	s.told = true
	s.mu.Unlock()
	if told {
		return
	}
	if s.tunnel.conn.own {
		_, _ = channel.SendRequest(resetRequest, false, resetPayload(why))
	}
	_ = channel.Close() // both fail only where all has ended
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
}

const (
	// replyWait is how long the end of our direction is held back while the target owes
	// an answer: nothing has come since the visitor's last byte.
	replyWait = 5 * time.Second
	// replyQuiet is how long a target may pause in an answer that began after the end.
	replyQuiet = 2 * time.Second
	// partingQuiet is that time where the answer came before: most visitors who say the
	// last word after it have gone.
	partingQuiet = 250 * time.Millisecond
)

// halfClose is the end of our direction. chisel up to 1.11, and outsystemscc, close the
// target's connection when they hear of it, so that an answer which is still to come is
// lost. Towards them it is held back until the target has answered the visitor's last
// byte and been quiet for a while, or been silent for replyWait: an answer for which the
// end is not needed is then complete, and a target that waits for the end gets it, if
// late.
type halfClose struct {
	asked bool
	due   bool
	told  bool

	answered bool // something came after the last byte that was written
	parting  bool // so it was when the end was asked for
	timer    *time.Timer
	last     time.Time // when a byte came, or the end was asked for
}

// ask begins to wait. The stream's mu is held, in all methods.
func (h *halfClose) ask(s *stream) {
	h.asked = true
	if s.tunnel.halfCloses || s.finished || !s.outbound {
		h.due = true
		return
	}
	h.last, h.parting = time.Now(), h.answered
	h.timer = time.AfterFunc(h.patience(), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		h.look(s)
	})
}

func (h *halfClose) patience() time.Duration {
	switch {
	case h.parting:
		return partingQuiet
	case h.answered:
		return replyQuiet
	}
	return replyWait
}

// heard notes that the target answers.
func (h *halfClose) heard() {
	first := !h.answered
	h.answered = true
	if h.timer == nil {
		return
	}
	h.last = time.Now()
	if first {
		h.timer.Reset(replyQuiet)
	}
}

// look sends the end, or waits for longer.
func (h *halfClose) look(s *stream) {
	wait := h.patience() - time.Since(h.last)
	switch {
	case h.due || s.closed || s.why != nil:
	case len(s.unread) > 0: // our own reader is slow: nothing is known of the target
		h.timer.Reset(h.patience())
	case wait > 0:
		h.timer.Reset(wait)
	default:
		h.due = true
		s.kick()
	}
}

func (h *halfClose) stop() {
	if h.timer != nil {
		h.timer.Stop()
	}
}
