package mux

import (
	"net"
	"runtime"
	"time"

	"github.com/postern-dev/postern"
)

// flush writes what has gathered, in rounds; after the last the session's own
// goroutine goes on (rounds < 0: never). The caller holds wmu and has found the
// output idle, or owns the busy mark; wmu is free during each write.
func (s *Session) flush(rounds int) {
	s.out.busy = true
	if rounds > 0 && s.out.used() <= smallWrite {
		// Whoever runs now may have something to say as well: it leaves in the same write.
		s.wmu.Unlock()
		runtime.Gosched()
		s.wmu.Lock()
	}
	for !s.out.empty() && s.writeErr == nil {
		if rounds == 0 && !s.dead {
			s.wake() // it inherits the busy mark
			return
		}
		if rounds == 0 {
			break // what is left is for finish
		}
		rounds--
		s.writeBatch()
	}
	s.out.busy = false
	if s.dead {
		s.idle.Broadcast() // the end waits for the last writer
	}
}

// writeBatch collects one batch and writes it, with wmu free meanwhile.
func (s *Session) writeBatch() {
	control, data := s.out.collect()
	s.roomy.Broadcast()
	began := time.Now()
	if !s.dead {
		s.extendStall(began)
	}
	s.wmu.Unlock()
	var err error
	written := len(control)
	if data == nil {
		if len(control) > 0 {
			err = s.write(control)
		}
	} else {
		start := controlRoom
		if len(control) > 0 && len(control) <= controlRoom {
			start -= len(control)
		} else if len(control) > 0 {
			err = s.write(control)
		}
		if err == nil {
			err = s.write(data.b[start:])
		}
		written += len(data.b) - controlRoom
		data.recycle()
	}
	took := time.Since(began)
	s.wmu.Lock()
	if unsent := s.holdBulk(); !s.out.hold.on.Load() {
		s.out.pace.wrote(written, took, unsent)
	}
	if err != nil && s.writeErr == nil {
		s.writeErr = err
		s.wmu.Unlock()
		s.lost("write", err)
		s.wmu.Lock()
	}
}

// extendStall moves the connection's write deadline when it has become old: a
// write that makes no progress for about the tolerance fails, and with it the
// session. It is moved rarely since that costs a lock in the runtime's poller.
func (s *Session) extendStall(now time.Time) {
	if now.Sub(s.out.fresh) < s.config.Tolerance/4 {
		return
	}
	s.out.fresh = now
	_ = s.conn.SetWriteDeadline(now.Add(s.config.Tolerance + s.config.Tolerance/4))
}

// kick has the session's goroutine write what has gathered, unless somebody does
// already. The caller holds wmu and must not block: the reader, a timer, or a
// writer whose deadline would not survive a stalled connection.
func (s *Session) kick() {
	if !s.out.busy && !s.dead && s.writeErr == nil {
		s.out.busy = true
		s.wake()
	}
}

// putControl appends a frame that goes before data. A peer that makes us answer
// without reading the answers ends its session here.
func (s *Session) putControl(kind frameKind, stream, word uint32) {
	s.wmu.Lock()
	s.out.control = appendWord(s.out.control, kind, stream, word)
	tooMuch := len(s.out.control) > controlMost
	s.kick()
	s.wmu.Unlock()
	if tooMuch {
		s.end(postern.Errorf(postern.CodeProtocolViolation, "The peer causes answers and does not read them."), codeCalm)
	}
}

// finish closes the connection. A session that ends in order first writes what
// was queued and its GOAWAY, and lets the peer read them: bytes that a closed
// socket has not read make the kernel reset the connection and drop our last
// words.
func (s *Session) finish() {
	defer func() {
		_ = s.conn.Close()
		<-s.readerDone
		s.wmu.Lock()
		s.awaitWriters()
		s.wmu.Unlock()
		close(s.closed)
	}()
	s.timer.Stop()
	if s.abrupt {
		closeRaw(s.conn)
		return
	}
	s.wmu.Lock()
	s.awaitWriters()
	s.out.putGoAway(s.lastAdmitted(), s.goAway, s.lastWords())
	s.flush(-1)
	s.wmu.Unlock()
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(lingerRead))
	<-s.readerDone
}

// awaitWriters waits until nobody writes to the connection of a session that has
// ended. wmu is held.
func (s *Session) awaitWriters() {
	for s.out.busy || s.keeper.runs {
		s.idle.Wait()
	}
}

// closeRaw closes the socket below TLS: a TLS close would first try to write an
// alert to a peer that does not read.
func closeRaw(conn net.Conn) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok {
		_ = t.NetConn().Close()
	}
	_ = conn.Close()
}
