package mux

import (
	"time"

	"github.com/postern-dev/postern"
)

// How long a stream may keep a slot without being of use.
const (
	typeWait  = 10 * time.Second // for the type of a stream that the peer opened
	closeWait = 15 * time.Second // for the peer to close what was closed here
)

// isOurs tells whether an id is of a stream that we open.
func (s *Session) isOurs(id uint32) bool { return (id&1 == 1) == s.config.Client }

func (s *Session) lookup(id uint32) *Stream {
	s.smu.Lock()
	defer s.smu.Unlock()
	return s.streams[id]
}

// admit makes the stream of a SYN, or says with which code to refuse it.
func (s *Session) admit(id uint32) (*Stream, muxCode) {
	s.smu.Lock()
	defer s.smu.Unlock()
	if s.peers >= s.limits.PeerStreams {
		return nil, codeStreamRefused
	}
	if s.undelivered >= s.config.AcceptBacklog {
		return nil, codeAcceptQueueFull
	}
	st := newStream(s, id)
	st.role = roleUntyped
	st.accepted = true
	s.streams[id] = st
	s.peers++
	s.undelivered++
	s.lastPeer = max(s.lastPeer, id)
	return st, codeNone
}

// remove takes st out of the session; its slot is free.
func (s *Session) remove(st *Stream) {
	s.smu.Lock()
	if st.gone {
		s.smu.Unlock()
		return
	}
	st.gone = true
	delete(s.streams, st.id)
	if st.expiry != nil {
		st.expiry.remove(st)
	}
	switch st.role {
	case roleUntyped:
		s.undelivered--
	case roleEcho, rolePing:
		s.internal--
	}
	if s.isOurs(st.id) {
		s.ours--
		s.prove(st)
	} else {
		s.peers--
	}
	s.grantOpens()
	s.smu.Unlock()
	st.regained(maxStream)
	st.settle()
}

// prove notes that the peer's application has seen st. smu is held.
func (s *Session) prove(st *Stream) {
	if !st.accepted {
		st.accepted = true
		s.unaccepted--
	}
}

// sawLife is prove for the reader: the first frame on st, of any kind.
func (s *Session) sawLife(st *Stream) {
	if st.alive {
		return
	}
	st.alive = true
	s.smu.Lock()
	if !st.accepted {
		s.prove(st)
		s.grantOpens()
	}
	s.smu.Unlock()
}

// halfClosed notes that one direction of st has ended, and removes st after both.
func (s *Session) halfClosed(st *Stream, local bool) {
	s.smu.Lock()
	if local {
		st.localEnd = true
	} else {
		st.peerEnd = true
	}
	over := st.localEnd && st.peerEnd
	s.smu.Unlock()
	if over {
		s.remove(st)
	}
}

// awaitPeer gives the peer of a closed stream a time to close it as well.
func (s *Session) awaitPeer(st *Stream) {
	s.smu.Lock()
	defer s.smu.Unlock()
	if st.gone {
		return
	}
	at := time.Now().Add(closeWait)
	s.closing.add(st, at)
	s.tickBy(at)
}

// reset ends st abnormally from our side: code and why go to the peer, our user
// gets why as the error.
func (s *Session) reset(st *Stream, code muxCode, why *postern.Error) {
	if !st.fail(why, true) {
		return
	}
	s.remove(st)
	s.wmu.Lock()
	if !s.dead {
		s.resets.add(st.id)
		var text *postern.Error
		if s.config.RichResets {
			text = why
		}
		s.out.putReset(st.id, code, text)
		s.kick()
	}
	s.wmu.Unlock()
}

// refuse answers a frame of the peer with an RST and remembers the stream: what
// else of it is on the way is dropped without another answer.
func (s *Session) refuse(id uint32, code muxCode) {
	s.wmu.Lock()
	known := s.resets.has(id)
	if !known {
		s.resets.add(id)
	}
	s.wmu.Unlock()
	if !known || code != codeStreamClosed {
		s.putControl(kindReset, id, uint32(code))
	}
}

// abandon answers bytes for a stream that was closed here, or that the peer has not
// closed in time. The answer goes behind what we sent on it: a reset that came
// first would cost the peer the end of our data.
func (s *Session) abandon(st *Stream) {
	s.wmu.Lock()
	if !s.resets.has(st.id) && !s.dead {
		s.resets.add(st.id)
		s.out.putReset(st.id, codeStreamClosed, nil)
		s.kick()
	}
	s.wmu.Unlock()
	s.remove(st)
}

// evict resets the stream that holds most of the memory for unread data, so that
// readers who stopped pay for it and not who came last.
func (b *Budget) evict() {
	most := b.most()
	if most == nil || most.held.Load() == 0 {
		return
	}
	most.session.reset(most, codeCalm, postern.Errorf(postern.CodeStreamReset,
		"The stream was reset: %d bytes of it were not read while the session's memory was used up.", most.held.Load()))
}

// recentIDs remembers the last few streams that were reset. Guarded by wmu.
type recentIDs struct {
	ids  []uint32
	next int // the place of the next one, once ids is full
}

// keptIDs is how many of them are remembered.
const keptIDs = 64

// forgetReset lets a peer that uses an id again have its answers.
func (s *Session) forgetReset(id uint32) {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	for i, other := range s.resets.ids {
		if other == id {
			s.resets.ids[i] = 0
		}
	}
}

func (r *recentIDs) add(id uint32) {
	if len(r.ids) < keptIDs {
		r.ids = append(r.ids, id)
		return
	}
	r.ids[r.next] = id
	r.next = (r.next + 1) % keptIDs
}

func (r *recentIDs) has(id uint32) bool {
	for _, other := range r.ids {
		if other == id {
			return true
		}
	}
	return false
}

// expiries is streams in the order in which their time runs out, linked through
// themselves. A stream is in at most one: without a type nobody can close it.
type expiries struct{ first, last *Stream }

func (e *expiries) add(st *Stream, at time.Time) {
	if st.expiry != nil {
		return
	}
	st.expiry, st.expires = e, at
	st.before, st.after = e.last, nil
	if e.last == nil {
		e.first = st
	} else {
		e.last.after = st
	}
	e.last = st
}

func (e *expiries) remove(st *Stream) {
	if st.expiry != e {
		return
	}
	if st.before == nil {
		e.first = st.after
	} else {
		st.before.after = st.after
	}
	if st.after == nil {
		e.last = st.before
	} else {
		st.after.before = st.before
	}
	st.expiry, st.before, st.after = nil, nil, nil
}

// expired takes out the first stream if its time has come.
func (e *expiries) expired(now time.Time) *Stream {
	st := e.first
	if st == nil || st.expires.After(now) {
		return nil
	}
	e.remove(st)
	return st
}
