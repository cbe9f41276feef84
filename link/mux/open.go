package mux

import (
	"context"
	"encoding/binary"

	"github.com/postern-dev/postern"
)

// Open starts a stream. Its type and first, as much of it as fits, leave in the
// frame that opens it; no answer is waited for. Open waits while OpenStreams or
// Unaccepted is reached, until ctx ends. Errors are *postern.Error:
// CodeLinkDraining, CodeLinkLost (nothing was sent), CodeStreamLimit.
func (s *Session) Open(ctx context.Context, streamType uint32, first ...[]byte) (*Stream, error) {
	if err := s.takeSlot(ctx); err != nil {
		return nil, err
	}
	st := newStream(s, 0)
	st.role, st.streamType = roleUser, streamType

	s.wmu.Lock()
	err := s.waitRoom(ctx)
	if err == nil {
		err = s.putSyn(st, first)
	}
	if err != nil {
		usedUp := s.nextID > maxStream
		s.wmu.Unlock()
		s.giveSlot()
		if usedUp {
			// After 2³⁰ streams only a new session helps; the agent makes one at once.
			s.end(postern.Errorf(postern.CodeLinkLost, "The session has used up its stream ids."), codeNone)
		}
		return nil, err
	}
	if !s.out.busy {
		if deadline, ok := ctx.Deadline(); ok && !s.survivesStall(deadline) {
			s.kick()
		} else {
			s.flush(inlineRounds)
		}
	}
	s.wmu.Unlock()

	// What did not fit follows as an ordinary write.
	skip := maxPayload - typeSize
	for _, b := range first {
		n := min(skip, len(b))
		skip -= n
		if n == len(b) {
			continue
		}
		if _, err := st.Write(b[n:]); err != nil {
			_ = st.Close()
			return nil, postern.AsError(err)
		}
	}
	return st, nil
}

// waitRoom holds Open back while far too much waits to be written. wmu is held.
func (s *Session) waitRoom(ctx context.Context) *postern.Error {
	if s.out.used() >= openMost && !s.dead {
		stop := context.AfterFunc(ctx, s.wakeOpens)
		defer stop()
	}
	for s.out.used() >= openMost && !s.dead && ctx.Err() == nil {
		s.roomy.Wait()
	}
	switch {
	case s.dead:
		return sessionError(s.cause)
	case s.out.used() >= openMost:
		return postern.Errorf(postern.CodeStreamLimit, "The connection takes no more for now.").Because(ctx.Err())
	}
	return nil
}

func (s *Session) wakeOpens() {
	s.wmu.Lock()
	s.roomy.Broadcast()
	s.wmu.Unlock()
}

// putSyn gives st its id, makes it known and appends its first frame. wmu is held:
// ids leave in order.
func (s *Session) putSyn(st *Stream, first [][]byte) *postern.Error {
	if s.nextID > maxStream {
		return postern.Errorf(postern.CodeLinkLost, "The session has used up its stream ids.")
	}
	st.id = s.nextID
	s.nextID += 2

	s.smu.Lock()
	if s.draining && st.role == roleUser {
		s.smu.Unlock()
		return errDraining()
	}
	s.streams[st.id] = st
	s.smu.Unlock()

	size := typeSize
	for _, b := range first {
		size = min(size+len(b), maxPayload)
	}
	s.out.grow(headerSize + size)
	b := appendHeader(s.out.data.b, header{length: uint32(size), kind: kindData, flags: flagSyn, stream: st.id})
	b = binary.BigEndian.AppendUint32(b, st.streamType)
	left := size - typeSize
	for _, part := range first {
		n := min(left, len(part))
		b = append(b, part[:n]...)
		left -= n
	}
	s.out.data.b = b
	st.spent(size)
	st.charge(s.out.epoch, size)
	return nil
}

func errDraining() *postern.Error {
	return postern.Errorf(postern.CodeLinkDraining, "The session opens no more streams.")
}

// takeSlot waits until one more stream may be opened and counts it.
func (s *Session) takeSlot(ctx context.Context) error {
	s.smu.Lock()
	if s.draining {
		s.smu.Unlock()
		return s.whyNotOpen()
	}
	if s.opens.empty() && s.mayOpen() {
		s.ours++
		s.unaccepted++
		s.smu.Unlock()
		return nil
	}
	w := s.opens.add()
	s.smu.Unlock()
	select {
	case <-w.granted:
	case <-ctx.Done():
		s.smu.Lock()
		if s.opens.remove(w) {
			s.smu.Unlock()
			return postern.Errorf(postern.CodeStreamLimit, "The session has as many open streams as its peer can take.").Because(ctx.Err())
		}
		s.smu.Unlock() // granted at the same moment: use it
	}
	if !w.counted {
		return s.whyNotOpen()
	}
	return nil
}

func (s *Session) whyNotOpen() *postern.Error {
	if why := s.Cause(); why != nil {
		return sessionError(why)
	}
	return errDraining()
}

// giveSlot returns what takeSlot counted.
func (s *Session) giveSlot() {
	s.smu.Lock()
	s.ours--
	s.unaccepted--
	s.grantOpens()
	s.smu.Unlock()
}

// mayOpen tells whether the limits allow one more stream of ours. smu is held.
func (s *Session) mayOpen() bool {
	l := s.limits
	return (l.OpenStreams <= 0 || s.ours < l.OpenStreams) && (l.Unaccepted <= 0 || s.unaccepted < l.Unaccepted)
}

// grantOpens lets waiting opens go on, in order. smu is held.
func (s *Session) grantOpens() {
	for !s.opens.empty() && s.mayOpen() {
		s.ours++
		s.unaccepted++
		s.opens.grant(true)
	}
}

// stopOpens makes every Open fail, those that wait included.
func (s *Session) stopOpens() {
	s.smu.Lock()
	s.draining = true
	s.opens.grantAll()
	s.smu.Unlock()
}

// openQueue is opens that wait for a slot, first come first served. Guarded by smu.
type openQueue struct{ first, last *openWait }

type openWait struct {
	granted chan struct{}
	counted bool // the slot is taken; else the session opens no more
	out     bool // of the queue
	next    *openWait
	before  *openWait
}

func (q *openQueue) empty() bool { return q.first == nil }

func (q *openQueue) add() *openWait {
	w := &openWait{granted: make(chan struct{}), before: q.last}
	if q.last == nil {
		q.first = w
	} else {
		q.last.next = w
	}
	q.last = w
	return w
}

// remove takes w out; false means that it was granted before.
func (q *openQueue) remove(w *openWait) bool {
	if w.out {
		return false
	}
	w.out = true
	if w.before == nil {
		q.first = w.next
	} else {
		w.before.next = w.next
	}
	if w.next == nil {
		q.last = w.before
	} else {
		w.next.before = w.before
	}
	return true
}

func (q *openQueue) grant(counted bool) {
	w := q.first
	q.remove(w)
	w.counted = counted
	close(w.granted)
}

func (q *openQueue) grantAll() {
	for !q.empty() {
		q.grant(false)
	}
}
