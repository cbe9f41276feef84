package inspect

import "sync/atomic"

// Follower is told of exchanges as they go on: when a request has come whole, when its
// answer begins, when that ends. It must be closed.
type Follower struct {
	store *Store
	queue chan *Exchange
	lost  atomic.Int64
}

// Follow makes a Follower of everything from now on.
func (s *Store) Follow() *Follower {
	f := &Follower{store: s, queue: make(chan *Exchange, followerQueue)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followers[f] = struct{}{}
	return f
}

// Exchanges gives the snapshots. The channel is never closed.
func (f *Follower) Exchanges() <-chan *Exchange { return f.queue }

// Lost counts the snapshots that did not fit into the queue since the last call.
func (f *Follower) Lost() int64 { return f.lost.Swap(0) }

// Close ends it.
func (f *Follower) Close() {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	delete(f.store.followers, f)
}

func (f *Follower) offer(x *Exchange) {
	select {
	case f.queue <- x:
	default:
		f.lost.Add(1)
	}
}
