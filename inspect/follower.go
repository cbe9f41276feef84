package inspect

import "sync"

const (
	// What waits for a follower at most; then some is lost to it.
	followerQueue = 256     // exchanges
	followerBytes = 1 << 20 // of heads
)

// Follower is told of exchanges as they go on: when a request has come whole, when its
// answer begins, when that ends. It is told of heads: what waits for one that is slow
// is beside the Store's bound, and has a small one of its own. It must be closed.
type Follower struct {
	store *Store
	ready chan struct{} // holds a value while something waits

	mu    sync.Mutex
	queue []*Exchange
	bytes int64
	lost  int64
}

// Follow makes a Follower of everything from now on.
func (s *Store) Follow() *Follower {
	f := &Follower{store: s, ready: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followers[f] = struct{}{}
	return f
}

// Ready gives a value when Next has something. It is never closed.
func (f *Follower) Ready() <-chan struct{} { return f.ready }

// Next gives the snapshot that waits longest, without bodies; nil where none does.
func (f *Follower) Next() *Exchange {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return nil
	}
	x := f.queue[0]
	f.queue[0] = nil
	f.queue = f.queue[1:]
	f.bytes -= x.weight()
	if len(f.queue) > 0 {
		f.signal()
	}
	return x
}

// Lost counts the snapshots that did not fit into the queue since the last call.
func (f *Follower) Lost() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	lost := f.lost
	f.lost = 0
	return lost
}

// Close ends it.
func (f *Follower) Close() {
	f.store.mu.Lock()
	defer f.store.mu.Unlock()
	delete(f.store.followers, f)
}

// offer is given what heads made.
func (f *Follower) offer(x *Exchange) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == followerQueue || f.bytes+x.weight() > followerBytes {
		f.lost++
	} else {
		f.queue = append(f.queue, x)
		f.bytes += x.weight()
	}
	f.signal()
}

func (f *Follower) signal() {
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// heads copies a snapshot without its bodies, which it does not hold on to either.
func (x *Exchange) heads() *Exchange {
	light := *x
	light.Request.Raw = append([]byte(nil), x.Request.Raw[:x.Request.Head]...)
	if x.Response != nil {
		answer := *x.Response
		answer.Raw = append([]byte(nil), answer.Raw[:answer.Head]...)
		light.Response = &answer
	}
	return &light
}

// weight is what a snapshot without bodies takes.
func (x *Exchange) weight() int64 {
	bytes := overhead + len(x.Request.Raw) + len(x.Request.Trailers)
	if x.Response != nil {
		bytes += len(x.Response.Raw) + len(x.Response.Trailers)
	}
	return int64(bytes)
}
