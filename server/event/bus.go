package event

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/postern-dev/postern"
)

// ErrClosed is what Next returns once its subscription or the bus is closed and
// everything that was queued before has been delivered.
var ErrClosed = errors.New("event: subscription closed")

// Delivery is one thing that a subscriber receives: a record, or the mark that
// records were dropped.
type Delivery struct {
	Record Record

	// Resync tells that this subscriber missed at least one record; Record is then
	// zero. The subscriber must read again whatever state it derives from events.
	// Records that follow are newer than everything that was missed.
	Resync bool
}

// Bus hands records to subscribers within one process. Make one with NewBus. All
// methods may be called concurrently.
type Bus struct {
	mu     sync.Mutex
	subs   []*Subscription
	closed bool
}

// NewBus returns a bus without subscribers.
func NewBus() *Bus { return &Bus{} }

// Publish queues records for every subscriber that wants them. It never blocks on a
// subscriber: one whose queue is full loses its queue and gets a resync mark. Each
// subscriber sees one publisher's records in the order they were published.
func (b *Bus) Publish(records ...Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	for _, s := range b.subs {
		s.offer(records)
	}
}

// Subscribe starts a subscription that holds up to capacity undelivered records (at
// least one), of the given types; no types means all. It sees what is published
// after Subscribe has returned. The caller must Close it. On a closed bus the
// subscription is closed from the start.
func (b *Bus) Subscribe(capacity int, types ...postern.EventType) *Subscription {
	s := &Subscription{
		bus:      b,
		types:    slices.Clone(types),
		capacity: max(capacity, 1),
		wake:     make(chan struct{}, 1),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		s.end()
		return s
	}
	b.subs = append(b.subs, s)
	return s
}

// Close ends every subscription; what is queued is still delivered. Publish does
// nothing from now on.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, s := range b.subs {
		s.end()
	}
	b.subs = nil
}

func (b *Bus) remove(s *Subscription) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.subs = slices.DeleteFunc(b.subs, func(other *Subscription) bool { return other == s })
}

// Subscription is one subscriber's queue. Next is for one goroutine at a time;
// Close may be called from anywhere.
type Subscription struct {
	bus      *Bus
	types    []postern.EventType
	capacity int
	wake     chan struct{} // holds a token when there may be something new

	mu     sync.Mutex
	queue  []Record
	lost   bool
	closed bool
}

// Next waits for the next delivery. It fails with ctx's error, or with ErrClosed.
func (s *Subscription) Next(ctx context.Context) (Delivery, error) {
	for {
		if d, ready, err := s.take(); ready || err != nil {
			return d, err
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
			return Delivery{}, ctx.Err()
		}
	}
}

// Close ends the subscription and drops what it had queued. It may be called more
// than once.
func (s *Subscription) Close() {
	s.bus.remove(s)
	s.end()
	s.mu.Lock()
	s.queue, s.lost = nil, false
	s.mu.Unlock()
}

func (s *Subscription) take() (d Delivery, ready bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.lost:
		s.lost = false
		return Delivery{Resync: true}, true, nil
	case len(s.queue) > 0:
		d.Record = s.queue[0]
		s.queue[0] = Record{} // let go of Object
		s.queue = s.queue[1:]
		return d, true, nil
	case s.closed:
		return Delivery{}, false, ErrClosed
	}
	return Delivery{}, false, nil
}

func (s *Subscription) offer(records []Record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	for _, r := range records {
		if len(s.types) > 0 && !slices.Contains(s.types, r.Type) {
			continue
		}
		if len(s.queue) == s.capacity {
			// The queue is worth nothing once it has a hole: whoever resyncs reads a
			// state that is newer than all of it.
			s.queue, s.lost = s.queue[:0:0], true
		}
		s.queue = append(s.queue, r)
	}
	s.signal()
}

func (s *Subscription) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.signal()
}

func (s *Subscription) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
