package inspect

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultPerSecond is how many exchanges are kept a second where the owner of the
// Recorder does not say. It is more than a person can look at and less than what a
// loaded agent would notice.
const DefaultPerSecond = 200

// Recorder captures exchanges into a Store and counts all of them. Make one with
// NewRecorder. Its methods may be called concurrently.
type Recorder struct {
	store  *Store
	budget budget
	ids    ids
	passed atomic.Int64

	mu     sync.RWMutex
	meters map[string]*Meters
}

// NewRecorder makes a Recorder that keeps at most perSecond exchanges a second; 0 is
// DefaultPerSecond, less is no bound.
func NewRecorder(store *Store, perSecond int) *Recorder {
	if perSecond == 0 {
		perSecond = DefaultPerSecond
	}
	return &Recorder{store: store, budget: newBudget(perSecond), meters: map[string]*Meters{}}
}

// Store is where exchanges go.
func (r *Recorder) Store() *Store { return r.store }

// Passed counts the exchanges that were not kept because there were too many.
func (r *Recorder) Passed() int64 { return r.passed.Load() }

// Known gives the meters of an endpoint, by its label; nil where there are none.
func (r *Recorder) Known(endpoint string) *Meters {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.meters[endpoint]
}

// Meters gives the meters of an endpoint, by its label, and makes them if need be.
func (r *Recorder) Meters(endpoint string) *Meters {
	if m := r.Known(endpoint); m != nil {
		return m
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.meters[endpoint]
	if m == nil {
		m = &Meters{}
		r.meters[endpoint] = m
	}
	return m
}

// Forget drops the numbers of an endpoint that is gone: they are large, and names may be
// made up by the thousand.
func (r *Recorder) Forget(endpoint string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.meters, endpoint)
}

// Stream makes what reads along with one stream of an http endpoint. visitor is shown
// where requests do not tell better.
func (r *Recorder) Stream(endpoint string, visitor netip.AddrPort) *Stream {
	s := &Stream{recorder: r, endpoint: endpoint, visitor: visitor, meter: &r.Meters(endpoint).Requests}
	s.service.answer = true
	s.visitors.data, s.service.data = s.keepRequest, s.keepAnswer
	return s
}

// capture begins to keep an exchange; nil: it is only counted.
func (r *Recorder) capture(s *Stream, now time.Time) *capture {
	if r.store.Off() {
		return nil
	}
	if !s.always && !r.budget.allow(now) || !r.store.reserve(overhead) {
		r.passed.Add(1)
		return nil
	}
	c := &capture{store: r.store, reserved: overhead}
	c.exchange = Exchange{ID: r.ids.next(now), Endpoint: s.endpoint, Start: now, ReplayOf: s.replayOf}
	return c
}
