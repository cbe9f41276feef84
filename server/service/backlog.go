package service

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// maxWaiting bounds the events that wait for the store. At ten sessions a second that
// is some seven minutes of a dead store.
const maxWaiting = 8192

// maxPart bounds what one transaction writes of it: however much has gathered, every
// transaction is done within the store's time, so the backlog shrinks.
const maxPart = 256

// backlog is what waits to be written: it must not hold anybody up, and can be written
// with the next transaction as well as with one of its own.
type backlog struct {
	mu      sync.Mutex
	waiting batch
	wake    chan struct{} // holds a token when there is something to write
}

type batch struct {
	events []waitingEvent
	names  map[postern.Hostname]time.Time // when last used
	ports  map[uint16]time.Time
}

type waitingEvent struct {
	event   postern.Event
	subject string
}

func newBacklog() *backlog { return &backlog{wake: make(chan struct{}, 1)} }

// add queues an event; false says that there is no room.
func (b *backlog) add(e postern.Event, subject string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting.events) >= maxWaiting {
		return false
	}
	b.waiting.events = append(b.waiting.events, waitingEvent{e, subject})
	b.signal()
	return true
}

// touch queues times of use.
func (b *backlog) touch(names []postern.Hostname, ports []uint16, at time.Time) {
	if len(names) == 0 && len(ports) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting.makeMaps()
	for _, host := range names {
		b.waiting.names[host] = at
	}
	for _, port := range ports {
		b.waiting.ports[port] = at
	}
	b.signal()
}

func (b *backlog) empty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting.empty()
}

// long tells whether more waits than one transaction takes along.
func (b *backlog) long() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting.events) > maxPart
}

// take removes the oldest part.
func (b *backlog) take() batch {
	b.mu.Lock()
	defer b.mu.Unlock()
	count := min(len(b.waiting.events), maxPart)
	part := batch{
		events: slices.Clone(b.waiting.events[:count]),
		names:  takeSome(b.waiting.names),
		ports:  takeSome(b.waiting.ports),
	}
	b.waiting.events = slices.Delete(b.waiting.events, 0, count)
	return part
}

func takeSome[K comparable](times map[K]time.Time) map[K]time.Time {
	some := make(map[K]time.Time, min(len(times), maxPart))
	for key, at := range times {
		if len(some) == maxPart {
			break
		}
		some[key] = at
		delete(times, key)
	}
	return some
}

// putBack returns what could not be written to the front of the queue.
func (b *backlog) putBack(failed batch) {
	if failed.empty() {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	later := b.waiting
	b.waiting = batch{events: append(failed.events, later.events...)}
	b.waiting.makeMaps()
	for _, part := range []batch{failed, later} { // newer times replace older ones
		maps.Copy(b.waiting.names, part.names)
		maps.Copy(b.waiting.ports, part.ports)
	}
	b.signal()
}

func (b *backlog) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (w *batch) makeMaps() {
	if w.names == nil {
		w.names = make(map[postern.Hostname]time.Time)
		w.ports = make(map[uint16]time.Time)
	}
}

func (w *batch) empty() bool { return len(w.events) == 0 && len(w.names) == 0 && len(w.ports) == 0 }

func (w *batch) write(d *draft) error {
	for host, at := range w.names {
		if err := d.Names().Touch(d.ctx, host, at); err != nil {
			return err
		}
	}
	for port, at := range w.ports {
		if err := d.Ports().Touch(d.ctx, port, at); err != nil {
			return err
		}
	}
	for _, e := range w.events {
		if err := d.append(e.event, e.subject); err != nil {
			return err
		}
	}
	return nil
}

// keepWriting writes what waits, as soon as the store takes it, and sweeps now and
// then. It runs from New to Close.
func (s *Service) keepWriting() {
	defer close(s.finished)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	retry := time.NewTimer(0)
	retry.Stop()
	defer retry.Stop()
	down := false
	for {
		select {
		case <-s.stop:
			return
		case <-sweep.C:
			s.keepInUse()
			if err := s.Sweep(ctx); err != nil {
				s.logger.WarnContext(ctx, "expired reservations could not be removed", "error", err)
			}
			continue
		case <-s.pending.wake:
			if down {
				continue // the timer tries again
			}
		case <-retry.C:
		}
		err := s.Flush(ctx)
		if failed := err != nil; failed != down { // a line per change, not per attempt
			down = failed
			s.logStore(ctx, err)
		}
		if down {
			retry.Reset(retryEvery)
		}
	}
}

func (s *Service) logStore(ctx context.Context, err error) {
	if err != nil {
		s.logger.ErrorContext(ctx, "store down, events wait in memory", "error", err)
		return
	}
	s.logger.InfoContext(ctx, "store answers again, waiting events written")
}

func (s *Service) keepInUse() {
	names, ports := s.inUse()
	s.pending.touch(names, ports, s.now())
}
