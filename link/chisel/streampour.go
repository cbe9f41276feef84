package chisel

import (
	"io"
	"net"
	"os"
)

// Pour implements link.Pump: run, which has received it, hands on what comes. One
// goroutine less is woken for every packet, and one copy less is made.
func (s *stream) Pour(take func([]byte) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	s.pour = take
	for {
		switch {
		case s.pouring: // it must be over before we are
		case s.pour == nil:
			return nil
		case len(s.unread) > 0 && s.readStops() == nil:
			s.pourOn()
			s.turn.Broadcast() // run waits, too
			continue
		default:
			if err := s.readFails(); err != nil {
				s.pour = nil
				return err
			}
		}
		s.turn.Wait()
	}
}

// readStops tells why not even what is unread can be read now. mu is held.
func (s *stream) readStops() error {
	switch {
	case s.why != nil:
		return s.why
	case s.closed:
		return net.ErrClosed
	case s.readBy.passed:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// readFails tells why nothing can be read now that nothing is unread. mu is held.
func (s *stream) readFails() error {
	if err := s.readStops(); err != nil {
		return err
	}
	return s.readError
}

// pourOn hands on what is unread, which stays as it is until then. mu is held, and given up
// meanwhile.
func (s *stream) pourOn() {
	b, take := s.unread, s.pour
	s.unread, s.pouring = nil, true
	s.mu.Unlock()
	more := take(b)
	s.mu.Lock()
	s.pouring = false
	if !more {
		s.pour = nil
	}
	if !more || s.readFails() != nil {
		s.turn.Broadcast()
	}
}

// Draw implements link.Pump: the goroutine that sends asks for what is to be sent.
func (s *stream) Draw(fill func([]byte) int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	s.draw = fill
	s.kick()
	for {
		switch {
		case s.drawing: // it must be over before we are
		case s.draw == nil:
			return nil
		default:
			if err := s.writeFails(); err != nil {
				s.draw = nil
				return err
			}
		}
		s.room.Wait()
	}
}

// writeFails tells why nothing can be written now. mu is held.
func (s *stream) writeFails() error {
	switch {
	case s.why != nil:
		return s.why
	case s.closed:
		return net.ErrClosed
	case s.half.asked:
		return io.ErrClosedPipe
	case s.writeError != nil:
		return s.writeError
	case s.writeBy.passed:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// onePacket is the most that x/crypto/ssh sends in one packet: what is drawn beyond it
// would wait for a second one.
const onePacket = 32 << 10

// drawOnce sends what draw gives. mu is held, and given up meanwhile.
func (s *stream) drawOnce() {
	out, fill := slabs.Get().(*slab), s.draw
	s.drawing = true
	s.mu.Unlock()
	n := fill(out[:onePacket])
	s.mu.Lock()
	s.drawing = false
	if n == 0 {
		s.draw = nil
	}
	if s.draw == nil || s.writeFails() != nil {
		s.room.Broadcast()
	}
	if n == 0 || s.why != nil || s.writeError != nil {
		slabs.Put(out)
		return
	}
	s.written = min(s.written+n, shortTotal+1)
	s.half.answered = false
	s.mu.Unlock()
	s.send(out, n)
}
