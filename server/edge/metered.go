package edge

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/quota"
)

// metered is a stream whose bytes count at the meter of the member's credential. Where
// that has a rate, the stream moves small pieces and pauses between them. A pause is
// time in which nobody is waited for: visitors are held to their pace by the time that
// their own reads and writes take, which happen elsewhere.
type metered struct {
	link.Stream
	meter *quota.Meter

	// asked says that the head of an answer is due. It is not paused for, since services
	// are given so much time for it and no more; a request is paused for before it is
	// sent (see Exchange.offer).
	asked atomic.Bool
	// longest bounds a pause where requests share the stream; 0 is no bound.
	longest time.Duration

	pausing sync.Mutex
	over    bool
	quit    chan struct{} // closed by the end; nil where nobody has paused
}

// longestShared is how long a connection pauses over which a service is asked several
// things at a time, heads among them.
const longestShared = 10 * time.Second

// Read implements net.Conn.
func (s *metered) Read(b []byte) (int, error) {
	if !s.asked.Load() {
		if piece := s.await(); piece > 0 && piece < len(b) {
			b = b[:piece]
		}
	}
	n, err := s.Stream.Read(b)
	if n > 0 {
		s.meter.Out(n)
	}
	return n, err
}

// Write implements net.Conn.
func (s *metered) Write(b []byte) (int, error) {
	for sent := 0; ; {
		rest := b[sent:]
		piece := s.await()
		if piece > 0 && piece < len(rest) {
			rest = rest[:piece]
		}
		n, err := s.ask(rest)
		if sent += n; err != nil || sent == len(b) {
			return sent, err
		}
	}
}

// ask is Write without a pause.
func (s *metered) ask(b []byte) (int, error) {
	n, err := s.Stream.Write(b)
	if n > 0 {
		s.meter.In(n)
	}
	return n, err
}

// await pauses where too much was moved, and tells how much may be moved then; 0 is any
// number.
func (s *metered) await() (piece int) {
	wait, piece := s.meter.Debt()
	if wait > 0 {
		if s.longest > 0 {
			wait = min(wait, s.longest)
		}
		rest(s.meter, wait, s.ending())
	}
	return piece
}

// ending gives a channel that is closed when the stream ends on our side.
func (s *metered) ending() <-chan struct{} {
	s.pausing.Lock()
	defer s.pausing.Unlock()
	if s.quit == nil {
		s.quit = make(chan struct{})
		if s.over {
			close(s.quit)
		}
	}
	return s.quit
}

// wake ends pauses for good.
func (s *metered) wake() {
	s.pausing.Lock()
	defer s.pausing.Unlock()
	if !s.over && s.quit != nil {
		close(s.quit)
	}
	s.over = true
}

// Close implements net.Conn.
func (s *metered) Close() error {
	s.wake()
	return s.Stream.Close()
}

// Reset implements link.Stream.
func (s *metered) Reset(why *postern.Error) {
	s.wake()
	s.Stream.Reset(why)
}

// lookAgain is how often a long pause looks whether it is still needed: limits change.
const lookAgain = time.Second

// rest waits until what m owes is due, or for an end.
func rest(m *quota.Meter, wait time.Duration, end <-chan struct{}) {
	timer := time.NewTimer(min(wait, lookAgain))
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-end:
			return
		}
		if wait -= lookAgain; wait <= 0 {
			return
		}
		if owed, _ := m.Debt(); owed == 0 {
			return
		}
		timer.Reset(min(wait, lookAgain))
	}
}

var _ link.Stream = (*metered)(nil)
