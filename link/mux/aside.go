package mux

import (
	"context"
	"sync"

	"github.com/postern-dev/postern"
)

// aside is where streams of one type go that Accept does not return.
type aside struct {
	streamType uint32
	backlog    int

	mu      sync.Mutex
	streams queue
}

// headSize is the bytes behind the type of a stream that goes aside. They are kept
// for its user even if a reset comes before he has looked.
const headSize = 8

// SetAside has the peer's streams of a type go to AcceptAside from now on, whatever
// Accept's caller does meanwhile. So many may wait there; one more is refused.
func (s *Session) SetAside(streamType uint32, backlog int) {
	s.aside.CompareAndSwap(nil, &aside{streamType: streamType, backlog: backlog, streams: newQueue()})
}

// AcceptAside is Accept for the type of SetAside, which comes first. It gives the
// eight bytes that follow the type as well, and returns streams that the peer has
// reset meanwhile, too.
func (s *Session) AcceptAside(ctx context.Context) (head [headSize]byte, st *Stream, err error) {
	for a := s.aside.Load(); ; {
		if s.ended() {
			return head, nil, s.cause
		}
		if st := a.pop(); st != nil {
			return st.head, st, nil
		}
		select {
		case <-a.streams.arrived:
		case <-s.done:
		case <-ctx.Done():
			return head, nil, ctx.Err()
		}
	}
}

func (a *aside) pop() *Stream {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.streams.pop()
}

// push reports whether there was room.
func (a *aside) push(st *Stream) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.streams.len() >= a.backlog {
		return false
	}
	a.streams.push(st)
	return true
}

// wants tells whether st is of the type, or has yet to say it.
func (a *aside) wants(st *Stream) bool { return a != nil && a.streamType == st.streamType }

// takeHead collects the head of a stream that goes aside and hands it over with its
// last byte. It returns what is behind. The reader calls it.
func (s *Session) takeHead(a *aside, st *Stream, b []byte) []byte {
	n := copy(st.head[st.typeBytes-typeSize:], b)
	st.typeBytes += uint8(n)
	st.spend(n)
	if int(st.typeBytes) < typeSize+headSize {
		return nil
	}
	s.smu.Lock()
	if st.gone {
		s.smu.Unlock()
		return nil // its time ran out just now
	}
	s.untyped.remove(st)
	st.role = roleUser
	s.undelivered--
	s.smu.Unlock()
	if !a.push(st) {
		s.reset(st, codeAcceptQueueFull, postern.Errorf(postern.CodeStreamRefused, "Too many streams wait."))
	}
	return b[n:]
}
