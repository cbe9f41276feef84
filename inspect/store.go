package inspect

import (
	"cmp"
	"slices"
	"sync"
)

const (
	// DefaultBytes is what a Store holds where its owner does not say.
	DefaultBytes = 50 << 20
	// overhead is what an exchange costs beside its messages.
	overhead = 1 << 10
	// largestShare is the part of a Store that one message's body may take.
	largestShare = 8
)

// Store holds exchanges, and forgets the oldest of those that have ended when it is
// full. Make one with NewStore. Its methods may be called concurrently.
type Store struct {
	most int64 // bytes; 0: keeps nothing

	mu        sync.Mutex
	used      int64
	short     bool     // see SetShort
	order     []*entry // by id
	ended     []*entry // in the order of their ends; may hold ones that are gone
	followers map[*Follower]struct{}
}

type entry struct {
	exchange *Exchange
	size     int64 // that is accounted for it once it has ended
	gone     bool
}

// NewStore makes a Store for that many bytes: 0 is DefaultBytes, less is none at all.
func NewStore(bytes int64) *Store {
	switch {
	case bytes == 0:
		bytes = DefaultBytes
	case bytes < 0:
		bytes = 0
	}
	return &Store{most: bytes, followers: map[*Follower]struct{}{}}
}

// Off tells that nothing is kept.
func (s *Store) Off() bool { return s.most == 0 }

// Bytes is how much is held, with what is being captured.
func (s *Store) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Filter chooses exchanges.
type Filter struct {
	Endpoint string // "" is every endpoint
}

// List gives the newest exchanges first, at most limit; 0 is all.
func (s *Store) List(filter Filter, limit int) []*Exchange {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*Exchange
	for _, e := range slices.Backward(s.order) {
		if limit > 0 && len(found) == limit {
			break
		}
		if filter.Endpoint == "" || filter.Endpoint == e.exchange.Endpoint {
			found = append(found, e.exchange)
		}
	}
	return found
}

// Get gives the exchange of an id.
func (s *Store) Get(id string) (*Exchange, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, found := s.find(id)
	if !found {
		return nil, false
	}
	return s.order[at].exchange, true
}

// Clear forgets everything, what is being captured as well.
func (s *Store) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.order {
		s.drop(e)
	}
	s.order, s.ended = nil, nil
}

// find gives the place of an id. What ends is mostly the oldest, what begins the newest.
func (s *Store) find(id string) (at int, found bool) {
	if n := len(s.order); n > 0 && s.order[0].exchange.ID == id {
		return 0, true
	} else if n == 0 || s.order[n-1].exchange.ID < id {
		return n, false
	}
	return slices.BinarySearchFunc(s.order, id, func(e *entry, id string) int { return cmp.Compare(e.exchange.ID, id) })
}

// drop gives the bytes of an exchange back; of one that goes on they are its
// capture's to give back.
func (s *Store) drop(e *entry) {
	e.gone = true
	if e.exchange.Done {
		s.used -= e.size
	}
}

// reserve makes room for bytes that are about to be captured, at the cost of the
// oldest. false: there is none, and they must not be kept.
func (s *Store) reserve(bytes int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.short {
		return false
	}
	s.shed(s.most - bytes)
	if s.used+bytes > s.most {
		return false
	}
	s.used += bytes
	return true
}

// shed forgets the oldest of those that have ended, until no more than most is held or
// none is left. The lock is held.
func (s *Store) shed(most int64) {
	for s.used > most && len(s.ended) > 0 {
		oldest := s.ended[0]
		s.ended[0] = nil
		s.ended = s.ended[1:]
		if oldest.gone {
			continue
		}
		s.drop(oldest)
		if at, found := s.find(oldest.exchange.ID); found {
			s.remove(at)
		}
	}
}

// remove takes an exchange out of the order; it is nearly always the first.
func (s *Store) remove(at int) {
	if at > 0 {
		s.order = slices.Delete(s.order, at, at+1)
		return
	}
	s.order[0] = nil
	s.order = s.order[1:]
}

func (s *Store) release(bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= bytes
}

// put takes a snapshot in: the first of an exchange where e is nil, else a later one.
// size is what was reserved for it. It returns nil where the exchange was forgotten
// meanwhile, and then the bytes are the caller's to release.
func (s *Store) put(e *entry, x *Exchange, size int64) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case e == nil:
		e = &entry{}
		at, _ := s.find(x.ID)
		s.order = slices.Insert(s.order, at, e)
	case e.gone:
		return nil
	}
	ended := x.Done && (e.exchange == nil || !e.exchange.Done)
	e.exchange, e.size = x, size
	if ended {
		s.ended = append(s.ended, e)
	}
	if len(s.followers) > 0 {
		light := x.heads()
		for f := range s.followers {
			f.offer(light)
		}
	}
	return e
}
