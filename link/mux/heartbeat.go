package mux

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/postern-dev/postern"
)

// heartbeatType is the type of heartbeat streams: each 4 bytes are echoed.
const heartbeatType = 0xFFFFFFFF

// pingSize is the bytes of a heartbeat.
const pingSize = 4

// firstBeat is when a new session measures its round trip for the first time.
const firstBeat = time.Second

// firstPings is how many round trips decide at first whether the path takes time.
const firstPings = 3

// maxPings bounds the heartbeats without an answer; more are not sent.
const maxPings = 64

// pinger is our heartbeat, guarded by wmu: a stream of ours on which each ping is
// four random bytes, echoed in order.
type pinger struct {
	stream  *Stream // nil until the first ping, and after the peer ended it
	waiting []ping  // for their answers, oldest first
	answer  []byte  // of the oldest, as far as it has come
	next    time.Time
	answers int // so far, up to firstPings
}

type ping struct {
	id    uint32
	sent  time.Time
	reply chan<- time.Duration // nil for the session's own
}

// Ping measures one round trip to the peer's process. It fails with CodeLinkLost
// when the session ends or ctx does first.
func (s *Session) Ping(ctx context.Context) (time.Duration, error) {
	reply := make(chan time.Duration, 1)
	s.wmu.Lock()
	sent := s.sendPing(reply)
	s.wmu.Unlock()
	if !sent {
		if why := s.Cause(); why != nil {
			return 0, sessionError(why)
		}
		return 0, postern.Errorf(postern.CodeLinkLost, "The peer owes too many answers to pings.")
	}
	select {
	case d, answered := <-reply:
		if !answered {
			return 0, postern.Errorf(postern.CodeLinkLost, "The peer ended the heartbeat.")
		}
		return d, nil
	case <-s.done:
		return 0, sessionError(s.cause)
	case <-ctx.Done():
		return 0, postern.Errorf(postern.CodeLinkLost, "No answer to a ping in time.").Because(ctx.Err())
	}
}

// RTT is the smoothed round trip to the peer's process; 0 until one was measured.
func (s *Session) RTT() time.Duration { return time.Duration(s.rtt.Load()) }

// LeastRTT is the least round trip of late, without what a queue adds; 0 until one
// was measured.
func (s *Session) LeastRTT() time.Duration { return time.Duration(s.rttLeast.Load()) }

// sendPing queues a ping before all data. wmu is held.
func (s *Session) sendPing(reply chan<- time.Duration) bool {
	p := &s.pinger
	if s.dead || len(p.waiting) >= maxPings || p.stream == nil && s.nextID > maxStream {
		return false
	}
	id := rand.Uint32()
	if p.stream == nil {
		p.stream = s.newPingStream()
		p.answer = p.answer[:0]
		body := appendHeader(s.out.control, header{length: typeSize + pingSize, kind: kindData, flags: flagSyn, stream: p.stream.id})
		body = binary.BigEndian.AppendUint32(body, heartbeatType)
		s.out.control = binary.BigEndian.AppendUint32(body, id)
		p.stream.sendWindow -= typeSize + pingSize
	} else {
		if p.stream.sendWindow < pingSize {
			return false
		}
		body := appendHeader(s.out.control, header{length: pingSize, kind: kindData, stream: p.stream.id})
		s.out.control = binary.BigEndian.AppendUint32(body, id)
		p.stream.sendWindow -= pingSize
	}
	p.waiting = append(p.waiting, ping{id: id, sent: time.Now(), reply: reply})
	s.kick()
	return true
}

// newPingStream opens our heartbeat stream, whatever the limits say. wmu is held.
func (s *Session) newPingStream() *Stream {
	st := newStream(s, s.nextID)
	s.nextID += 2
	st.role, st.streamType, st.accepted = rolePing, heartbeatType, true
	s.smu.Lock()
	s.streams[st.id] = st
	s.ours++
	s.internal++
	s.smu.Unlock()
	return st
}

// takePong compares the peer's answer with the oldest ping. The reader calls it.
func (s *Session) takePong(st *Stream, b []byte) {
	st.spend(len(b))
	s.wmu.Lock()
	defer s.wmu.Unlock()
	p := &s.pinger
	if p.stream != st {
		return
	}
	for _, c := range b {
		p.answer = append(p.answer, c)
		if len(p.answer) < pingSize {
			continue
		}
		id := binary.BigEndian.Uint32(p.answer)
		p.answer = p.answer[:0]
		if len(p.waiting) == 0 || p.waiting[0].id != id {
			continue // not ours: the ping stays unanswered
		}
		oldest := p.waiting[0]
		p.waiting = append(p.waiting[:0], p.waiting[1:]...)
		took := time.Since(oldest.sent)
		s.noteRTT(took)
		if oldest.reply != nil {
			oldest.reply <- took
		}
	}
}

// losePinger forgets a heartbeat stream that the peer has ended; the next ping opens
// another.
func (s *Session) losePinger(st *Stream) {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	p := &s.pinger
	if p.stream != st {
		return
	}
	for _, lost := range p.waiting {
		if lost.reply != nil {
			close(lost.reply)
		}
	}
	p.stream, p.waiting = nil, nil
}

// endEcho ends our direction of a heartbeat that the peer has ended.
func (s *Session) endEcho(st *Stream) {
	s.wmu.Lock()
	open := st.writeErr == nil
	if open {
		st.writeErr = errWriteEnded
		s.out.control = appendHeader(s.out.control, header{kind: kindData, flags: flagFin, stream: st.id})
		s.kick()
	}
	s.wmu.Unlock()
	if open {
		s.halfClosed(st, true)
	}
}

// noteRTT keeps a smoothed value for people, and the least for the windows: what a
// queue on the path adds must not make them larger. The least ages by an eighth a
// measurement, so that it follows a path that has become longer. wmu is held.
func (s *Session) noteRTT(took time.Duration) {
	took = max(took, 1)
	p := &s.pinger
	p.answers = min(p.answers+1, firstPings)
	if old := s.rtt.Load(); old > 0 {
		s.rtt.Store(old + (int64(took)-old)/8)
		least := s.rttLeast.Load()
		s.rttLeast.Store(min(int64(took), least+least/8))
	} else {
		s.rtt.Store(int64(took))
		s.rttLeast.Store(int64(took))
		s.out.pace.careful()
	}
	switch {
	case !s.far():
		s.out.pace.trust()
	case p.answers < firstPings && len(p.waiting) == 0:
		s.sendPing(nil) // a busy machine looks like a long path: ask again
	}
}

// echo answers the peer's heartbeat. The reader calls it; the answers go before
// data and are bounded by the stream's send window and controlMost.
func (s *Session) echo(st *Stream, b []byte) {
	st.spend(len(b))
	s.wmu.Lock()
	n := min(len(b), int(st.sendWindow))
	if n == 0 || st.writeErr != nil {
		s.wmu.Unlock()
		return
	}
	st.sendWindow -= int64(n)
	for part := b[:n]; len(part) > 0; {
		k := min(len(part), maxPayload)
		s.out.control = appendHeader(s.out.control, header{length: uint32(k), kind: kindData, stream: st.id})
		s.out.control = append(s.out.control, part[:k]...)
		part = part[k:]
	}
	tooMuch := len(s.out.control) > controlMost
	s.kick()
	s.wmu.Unlock()
	if tooMuch {
		s.end(postern.Errorf(postern.CodeProtocolViolation, "The peer causes answers and does not read them."), codeCalm)
	}
}

// startTimer arms the one timer of the session.
func (s *Session) startTimer() {
	s.pinger.next = s.start.Add(min(firstBeat, s.config.Heartbeat))
	s.timer = time.AfterFunc(time.Hour, s.tick)
	s.smu.Lock()
	defer s.smu.Unlock()
	s.nextTick = s.start.Add(time.Hour)
	if s.config.Heartbeat > 0 {
		s.tickBy(s.pinger.next)
	}
}

// tickBy makes sure that tick runs by then. smu is held.
func (s *Session) tickBy(at time.Time) {
	if at.Before(s.nextTick) {
		s.nextTick = at
		s.timer.Reset(time.Until(at))
	}
}

// beatSoon measures the round trip of a peer that has just been let in, for its
// streams' windows.
func (s *Session) beatSoon() {
	s.wmu.Lock()
	if s.config.Heartbeat > 0 && s.rtt.Load() == 0 && len(s.pinger.waiting) == 0 {
		s.sendPing(nil)
	}
	s.wmu.Unlock()
}

// tick does what is due: it ends streams whose time is over, sends a ping, and
// ends a session that has been silent for too long. It runs on a goroutine of the
// runtime's timers and does not block.
func (s *Session) tick() {
	defer s.recovered("timer")
	if s.ended() {
		return
	}
	now := time.Now()
	next := now.Add(time.Hour)
	s.smu.Lock()
	s.nextTick = next // what is asked for meanwhile counts
	s.smu.Unlock()
	if s.config.Heartbeat > 0 {
		at, why := s.beat(now)
		if why != nil {
			s.die(why, codeNone, true)
			return
		}
		next = at
	}
	for _, st := range s.takeExpired(now, &s.untyped) {
		s.reset(st, codeCancelled, postern.Errorf(postern.CodeProtocolViolation, "The stream's type did not come in time."))
	}
	for _, st := range s.takeExpired(now, &s.closing) {
		s.abandon(st)
	}
	if at := now.Add(keeperStays); s.relieve() && at.Before(next) {
		next = at
	}
	s.smu.Lock()
	for _, e := range []*expiries{&s.untyped, &s.closing} {
		if e.first != nil && e.first.expires.Before(next) {
			next = e.first.expires
		}
	}
	if s.nextTick.Before(next) {
		next = s.nextTick
	}
	s.nextTick = next
	s.timer.Reset(max(time.Until(next), time.Millisecond))
	s.smu.Unlock()
	if s.ended() {
		s.timer.Stop() // or it would hold the session's memory until then
	}
}

func (s *Session) takeExpired(now time.Time, e *expiries) (streams []*Stream) {
	s.smu.Lock()
	defer s.smu.Unlock()
	for st := e.expired(now); st != nil; st = e.expired(now) {
		streams = append(streams, st)
	}
	return streams
}

// beat sends a ping when it is time and judges the peer. While a ping waits, a
// session is dead when nothing at all has come for Tolerance. Any frame is a sign
// of life, since bulk on a slow path can hold an answer back for long, but three
// times Tolerance without the answer is death as well.
func (s *Session) beat(now time.Time) (next time.Time, why *postern.Error) {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	p := &s.pinger
	tolerance := s.config.Tolerance
	if !now.Before(p.next) {
		s.sendPing(nil)
		p.next = now.Add(s.config.Heartbeat)
	}
	next = p.next
	if len(p.waiting) == 0 {
		return next, nil
	}
	asked := p.waiting[0].sent
	silent := s.start.Add(time.Duration(s.heard.Load())).Add(tolerance)
	if fair := asked.Add(tolerance / 2); silent.Before(fair) {
		silent = fair // a ping that was sent late gets its time
	}
	if !now.Before(silent) || now.Sub(asked) >= 3*tolerance {
		return next, postern.Errorf(postern.CodeLinkLost, "The peer has been silent for %s.", tolerance)
	}
	if silent.After(now) && silent.Before(next) {
		next = silent
	}
	return next, nil
}
