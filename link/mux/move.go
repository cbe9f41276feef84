package mux

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/postern-dev/postern"
)

// AllowMoves has the session take the peer's moves: an end of one direction of a
// stream that goes on over another connection. Both ends must have agreed; from
// any other peer a move is a breach of the protocol.
func (s *Session) AllowMoves() { s.moves.Store(true) }

// Move ends our direction of st on this session and tells the peer that it goes on
// over the connection with the number to, behind the last byte written here. The
// caller sees to it that no Write is under way. Move does not wait for the
// connection.
func (st *Stream) Move(to uint32) error {
	s := st.session
	s.wmu.Lock()
	if err := st.writeErr; err != nil {
		s.wmu.Unlock()
		return err
	}
	st.writeErr = errWriteEnded
	s.out.putMove(st.id, to)
	s.kick()
	s.wmu.Unlock()
	s.halfClosed(st, true)
	return nil
}

// Moved tells, once Read has returned io.EOF, whether the peer's direction goes on
// over another connection, and over which.
func (st *Stream) Moved() (to uint32, moved bool) {
	word := st.movedTo.Load()
	return uint32(word), word>>32 != 0
}

// Ended tells whether the peer has ended its direction in order, or moved it. What
// it sent before may still be unread.
func (st *Stream) Ended() bool { return st.finished() }

// EndQuietly is CloseWrite by somebody who must not wait for the connection.
func (st *Stream) EndQuietly() {
	s := st.session
	s.wmu.Lock()
	if st.writeErr != nil {
		s.wmu.Unlock()
		return
	}
	st.writeErr = errWriteEnded
	s.out.putData(st.id, flagFin, nil)
	s.kick()
	s.wmu.Unlock()
	s.halfClosed(st, true)
}

// Window is how many bytes the peer may send ahead of st's reader.
func (st *Stream) Window() int64 {
	st.rmu.Lock()
	defer st.rmu.Unlock()
	return st.window
}

// Widen gives st at least that window at once, as far as MaxWindow and the budget
// allow: a stream that has moved goes on as fast as it was.
func (st *Stream) Widen(window int64) {
	s := st.session
	window = min(window, s.windowOf.Load())
	st.rmu.Lock()
	var credit int64
	if was := st.window; !st.settled && st.readErr == nil {
		st.enlarge(window, time.Now())
		credit = st.window - was
		st.credit += credit
	}
	st.rmu.Unlock()
	st.announce(uint32(credit))
}

// InFlight is the bytes that streams have sent on this session and that the peer's
// readers have not made room for again: its load.
func (s *Session) InFlight() int64 { return s.inFlight.Load() }

// Awaits tells whether somebody here will still take the stream's bytes: it is open
// and was not closed here, or it is one of the peer's that has yet to arrive.
func (s *Session) Awaits(id uint32) bool {
	s.smu.Lock()
	st, later := s.streams[id], !s.isOurs(id) && id > s.lastPeer
	s.smu.Unlock()
	if st == nil {
		return later
	}
	st.rmu.Lock()
	defer st.rmu.Unlock()
	return st.readErr == nil || st.readErr == io.EOF
}

// spent counts n bytes of st as sent. wmu is held.
func (st *Stream) spent(n int) {
	st.sendWindow -= int64(n)
	st.outstanding.Add(int64(n))
	st.session.inFlight.Add(int64(n))
}

// regained counts n bytes as read by the peer, at most those that were sent.
func (st *Stream) regained(n int64) {
	for {
		was := st.outstanding.Load()
		n = min(n, was)
		if st.outstanding.CompareAndSwap(was, was-n) {
			st.session.inFlight.Add(-n)
			return
		}
	}
}

// putMove appends the frame of a move, behind whatever the stream has sent before.
func (o *output) putMove(stream, to uint32) {
	o.grow(headerSize + 4)
	o.data.b = appendWord(o.data.b, kindMove, stream, to)
}

// readMove takes the peer's move of a stream.
func (s *Session) readMove(h header) error {
	if !s.moves.Load() {
		if s.config.RichResets {
			return breach(codeProtocol, "A move of stream %d without an agreement on moves.", h.stream)
		}
		return s.in.discard(int(h.length)) // a kind of the future, to this peer
	}
	if h.length != 4 {
		return breach(codeFrameSize, "A move of %d bytes.", h.length)
	}
	if h.stream == 0 {
		return breach(codeProtocol, "A move of stream 0, which is the session.")
	}
	body, err := s.in.bytes(4)
	if err != nil {
		return notEOF(err)
	}
	to := binary.BigEndian.Uint32(body)
	st := s.lookup(h.stream)
	if st == nil {
		return nil
	}
	if st.role != roleUser {
		s.reset(st, codeCancelled, postern.Errorf(postern.CodeProtocolViolation, "A stream of the session itself cannot move."))
		return nil
	}
	if st.finished() {
		s.reset(st, codeStreamClosed, postern.Errorf(postern.CodeProtocolViolation, "The peer moved a direction that it had ended."))
		return nil
	}
	s.sawLife(st)
	st.movedTo.Store(1<<32 | uint64(to))
	s.readFin(st)
	return nil
}
