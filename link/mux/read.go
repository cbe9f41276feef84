package mux

import (
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/postern-dev/postern"
)

// violation is a breach of the protocol that ends the session.
type violation struct {
	code muxCode
	why  *postern.Error
}

func (v *violation) Error() string { return v.why.Error() }

func breach(code muxCode, format string, args ...any) error {
	return &violation{code, postern.Errorf(postern.CodeProtocolViolation, format, args...)}
}

// read is the session's reading goroutine. It never waits for a stream's user, nor
// for the connection to take a write.
func (s *Session) read() {
	defer close(s.readerDone)
	defer s.in.close()
	defer s.recovered("reader")
	err := s.readFrames()
	var bad *violation
	switch {
	case errors.As(err, &bad):
		s.end(bad.why, bad.code)
		s.drainInput()
	case err == io.EOF:
		s.die(postern.Errorf(postern.CodeLinkLost, "The peer closed the connection."), codeNone, true)
	default:
		s.lost("read", err)
	}
}

// drainInput reads on after our goodbye, until the peer closes too or finish's
// patience ends, so that the kernel does not reset the connection under it.
func (s *Session) drainInput() {
	for {
		if _, _, err := s.in.piece(maxLength); err != nil {
			return
		}
	}
}

func (s *Session) readFrames() error {
	for {
		b, err := s.in.bytes(headerSize)
		if err != nil {
			return err
		}
		if s.ended() {
			s.drainInput()
			return io.EOF
		}
		if err := s.readFrame(parseHeader(b)); err != nil {
			return err
		}
	}
}

func (s *Session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *Session) readFrame(h header) error {
	if h.stream > maxStream {
		return breach(codeProtocol, "Frame for stream %#x: ids have 31 bits.", h.stream)
	}
	switch h.kind {
	case kindData, kindReset, kindWindow:
		if h.stream == 0 {
			return breach(codeProtocol, "Frame of kind %d for stream 0, which is the session.", h.kind)
		}
	}
	switch h.kind {
	case kindData:
		return s.readData(h)
	case kindReset:
		return s.readReset(h)
	case kindWindow:
		return s.readWindow(h)
	case kindGoAway:
		return s.readGoAway(h)
	case kindMove:
		return s.readMove(h)
	}
	return s.in.discard(int(h.length)) // kinds of the future are skipped
}

// readData takes a DATA frame. Whether the stream may get so much is settled
// before a byte of the body is read.
func (s *Session) readData(h header) error {
	st := s.lookup(h.stream)
	if h.flags&flagSyn != 0 {
		switch {
		case s.isOurs(h.stream):
			return breach(codeProtocol, "The peer opened stream %d, an id of ours.", h.stream)
		case st != nil:
			return breach(codeProtocol, "The peer opened stream %d, which is open.", h.stream)
		case h.length > s.config.Window:
			s.refuse(h.stream, codeFlowControl)
			return s.in.discard(int(h.length))
		}
		var code muxCode
		if st, code = s.admit(h.stream); st == nil {
			s.refuse(h.stream, code)
			return s.in.discard(int(h.length))
		}
		s.forgetReset(h.stream)
	}
	if st == nil {
		return s.readStray(h)
	}
	s.sawLife(st)
	if !st.fits(h.length) {
		s.reset(st, codeFlowControl, postern.Errorf(postern.CodeFlowControlViolation,
			"The peer sent %d bytes on stream %d, more than its window allowed.", h.length, h.stream))
		return s.in.discard(int(h.length))
	}
	for left := int(h.length); left > 0; {
		b, from, err := s.in.piece(left)
		if err != nil {
			return err
		}
		left -= len(b)
		s.hand(st, b, from)
	}
	if h.flags&flagFin != 0 {
		s.readFin(st)
	} else if h.flags&flagSyn != 0 && st.role == roleUntyped {
		s.expectType(st)
	}
	return nil
}

// readStray takes DATA of a stream that is not open. A late FIN is of no interest;
// late bytes are answered with a reset, as a closed socket does.
func (s *Session) readStray(h header) error {
	if h.length > 0 || h.flags&flagFin == 0 {
		s.refuse(h.stream, codeStreamClosed)
	}
	return s.in.discard(int(h.length))
}

// hand gives one piece of a stream's payload to whom it is for.
func (s *Session) hand(st *Stream, b []byte, from *slab) {
	if st.role == roleUntyped {
		if b = s.takeType(st, b); len(b) == 0 {
			return
		}
	}
	switch st.role {
	case roleEcho:
		s.echo(st, b)
		return
	case rolePing:
		s.takePong(st, b)
		return
	}
	rest, result := st.deliver(b, from)
	if result == tooMuch {
		// Whoever holds most makes room; if that was st, the rest is of no use.
		st.budget.evict()
		_, result = st.deliver(rest, from)
	}
	switch result {
	case tooMuch:
		s.reset(st, codeCalm, postern.Errorf(postern.CodeStreamReset, "The session's memory for unread data is used up."))
	case late:
		s.reset(st, codeStreamClosed, postern.Errorf(postern.CodeProtocolViolation, "The peer sent on after the end of its direction."))
	case useless:
		s.abandon(st)
	}
}

// takeType collects the type that a stream begins with and returns what is behind
// it. With its last byte the stream goes to Accept.
func (s *Session) takeType(st *Stream, b []byte) []byte {
	if n := min(typeSize-int(st.typeBytes), len(b)); n > 0 {
		for _, c := range b[:n] {
			st.streamType = st.streamType<<8 | uint32(c)
		}
		st.typeBytes += uint8(n)
		st.spend(n)
		b = b[n:]
	}
	if st.typeBytes < typeSize {
		return nil
	}
	if a := s.aside.Load(); a.wants(st) {
		return s.takeHead(a, st, b)
	}
	s.smu.Lock()
	s.untyped.remove(st)
	if st.streamType == heartbeatType {
		st.role = roleEcho
		s.undelivered--
		s.internal++
	} else {
		st.role = roleUser
	}
	if st.role == roleUser && !st.gone {
		s.incoming.push(st) // no more than AcceptBacklog: admit has counted it
	}
	s.smu.Unlock()
	return b
}

// spend takes credit for bytes that no user reads.
func (st *Stream) spend(n int) {
	st.rmu.Lock()
	st.credit -= int64(n)
	credit := st.due()
	st.rmu.Unlock()
	st.announce(credit)
}

// expectType gives an incoming stream a time to say its type.
func (s *Session) expectType(st *Stream) {
	at := time.Now().Add(typeWait)
	s.smu.Lock()
	if !st.gone {
		s.untyped.add(st, at)
		s.tickBy(at)
	}
	s.smu.Unlock()
}

func (s *Session) readFin(st *Stream) {
	switch st.role {
	case roleUntyped:
		s.reset(st, codeCancelled, postern.Errorf(postern.CodeProtocolViolation, "The stream ended before its type."))
		return
	case rolePing:
		s.reset(st, codeCancelled, postern.Errorf(postern.CodeProtocolViolation, "The peer ended our heartbeat."))
		s.losePinger(st)
		return
	case roleEcho:
		s.endEcho(st)
	}
	st.end()
	s.halfClosed(st, false)
}

func (s *Session) readReset(h header) error {
	most := uint32(4)
	if s.config.RichResets {
		most += maxReason
	}
	if h.length < 4 || h.length > most {
		return breach(codeFrameSize, "RST of %d bytes.", h.length)
	}
	body, err := s.in.bytes(int(h.length))
	if err != nil {
		return notEOF(err)
	}
	st := s.lookup(h.stream)
	if st == nil {
		return nil
	}
	code := muxCode(binary.BigEndian.Uint32(body))
	why := resetError(code, body[4:])
	if code == codeAcceptQueueFull {
		st.refused.Store(true) // before sawLife, so that Accepted is never true of it
	}
	s.sawLife(st)
	if code == codeStreamClosed && st.finished() {
		// The peer had said all and closed, then our late bytes reached it. What it said
		// stays readable.
		st.failWrite(why)
		s.halfClosed(st, true)
		return nil
	}
	if code == codeAcceptQueueFull && !s.config.RichResets {
		// muxado keeps a stream that it has refused until it is reset in return.
		s.putControl(kindReset, st.id, uint32(codeCancelled))
	}
	st.fail(why, true)
	s.remove(st)
	if st.role == rolePing {
		s.losePinger(st)
	}
	return nil
}

func (s *Session) readWindow(h header) error {
	if h.length != 4 {
		return breach(codeFrameSize, "WNDINC of %d bytes.", h.length)
	}
	body, err := s.in.bytes(4)
	if err != nil {
		return notEOF(err)
	}
	n := binary.BigEndian.Uint32(body) & maxStream
	if n == 0 {
		return breach(codeProtocol, "WNDINC of 0 on stream %d.", h.stream)
	}
	st := s.lookup(h.stream)
	if st == nil {
		return nil
	}
	s.sawLife(st)
	if !st.grant(n) {
		s.reset(st, codeFlowControl, postern.Errorf(postern.CodeFlowControlViolation,
			"The peer's window of stream %d grew beyond 2³¹−1 bytes.", h.stream))
	}
	return nil
}

// readGoAway takes the peer's last word. Between our own ends it may only mean
// that no more streams should be opened; a muxado peer is about to close.
func (s *Session) readGoAway(h header) error {
	if h.stream != 0 || h.length < 8 {
		return breach(codeProtocol, "GOAWAY of %d bytes on stream %d.", h.length, h.stream)
	}
	body, err := s.in.bytes(8)
	if err != nil {
		return notEOF(err)
	}
	last, code := binary.BigEndian.Uint32(body), muxCode(binary.BigEndian.Uint32(body[4:]))
	kept := min(int(h.length)-8, maxReason)
	text, err := s.in.bytes(kept)
	if err != nil && s.config.RichResets {
		return notEOF(err)
	}
	reason := parseReason(text)
	if s.config.RichResets && last == maxStream && code == codeNone {
		s.stopOpens()
		select {
		case <-s.peerDrains:
		default:
			close(s.peerDrains)
		}
		return s.in.discard(int(h.length) - 8 - kept)
	}
	if reason == nil || !s.config.RichResets {
		reason = postern.Errorf(postern.CodeLinkLost, "The peer ended the session (mux code %d).", code)
	}
	s.die(reason, codeNone, true)
	return io.EOF
}

func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
