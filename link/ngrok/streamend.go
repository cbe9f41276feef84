package ngrok

import (
	"net"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/mux"
)

// now gives the stream of this moment, without waiting for a reopening.
func (s *stream) now() *mux.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// Close implements net.Conn.
func (s *stream) Close() error {
	s.end()
	return s.now().Close()
}

// Reset implements link.Stream.
func (s *stream) Reset(why *postern.Error) {
	s.end()
	s.now().Reset(why)
}

// CloseWrite implements link.Stream.
func (s *stream) CloseWrite() error {
	s.mu.Lock()
	s.writeClosed = true
	current, moving := s.current, s.moving != nil
	s.mu.Unlock()
	if moving || current.Refused() {
		return nil // install closes the fresh stream's side
	}
	if err := current.CloseWrite(); err != nil && !current.Refused() {
		return err
	}
	return nil
}

// SetDeadline implements net.Conn.
func (s *stream) SetDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readBy, s.writeBy = t, t
	s.interrupt(t)
	return s.current.SetDeadline(t)
}

// SetReadDeadline implements net.Conn.
func (s *stream) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readBy = t
	s.interrupt(t)
	return s.current.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (s *stream) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeBy = t
	s.interrupt(t)
	return s.current.SetWriteDeadline(t)
}

// interrupt ends a reopening, with mu held, when a deadline is set to the past,
// which is how callers wake a pending Read or Write. The next call tries again.
// A deadline in the future needs no timer here: reopenTimeout is short.
func (s *stream) interrupt(deadline time.Time) {
	if s.moving != nil && !deadline.IsZero() && !deadline.After(time.Now()) {
		s.stopMoving()
	}
}

// LocalAddr implements net.Conn.
func (s *stream) LocalAddr() net.Addr { return s.now().LocalAddr() }

// RemoteAddr implements net.Conn.
func (s *stream) RemoteAddr() net.Addr { return s.now().RemoteAddr() }
