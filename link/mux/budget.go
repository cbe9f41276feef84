package mux

import (
	"sync"
	"sync/atomic"
	"time"
)

// Budget is the memory that received, unread data may take, of one session or of
// several that serve the same peer. It is no credit: a peer is never held up by
// it, and a reader who stops costs himself, not the others.
type Budget struct {
	used  atomic.Int64 // memory of received, unread data
	limit atomic.Int64

	lent      atomic.Int64 // window granted above the initial one, half of limit at most
	borrowers atomic.Int64 // streams that have such a window
	began     time.Time
	short     atomic.Int64 // when one last could not have its share, in nanoseconds since began; 0 for never

	mu       sync.Mutex
	sessions map[*Session]struct{}
}

// NewBudget makes a budget; the Buffered of its sessions' Limits bounds it.
func NewBudget() *Budget { return &Budget{began: time.Now(), sessions: make(map[*Session]struct{}, 1)} }

// SetBudget has the streams that begin from now on count against b, whose limit
// the caller has set with another session: a connection that turns out to belong
// to one.
func (s *Session) SetBudget(b *Budget) { s.setBudget(b) }

func (s *Session) setBudget(b *Budget) {
	if old := s.budget.Swap(b); old != nil {
		old.leave(s)
	}
	b.join(s)
	if s.ended() {
		b.leave(s)
	}
}

func (b *Budget) join(s *Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions[s] = struct{}{}
}

func (b *Budget) leave(s *Session) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sessions, s)
}

// most finds the stream that holds most memory.
func (b *Budget) most() (most *Stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.sessions {
		s.smu.Lock()
		for _, st := range s.streams {
			if most == nil || st.held.Load() > most.held.Load() {
				most = st
			}
		}
		s.smu.Unlock()
	}
	return most
}
