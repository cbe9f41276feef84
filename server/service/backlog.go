package service

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
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
	writing batch         // taken, and not yet known to be in the store
	wake    chan struct{} // holds a token when there is something to write
}

type batch struct {
	events []waitingEvent
	names  map[postern.Hostname]use
	ports  map[store.PortKey]use
}

// use is the last use of a name or port.
type use struct {
	at           time.Time
	installation string // whose it was; "" leaves what is stored
}

// note makes u the last use of key.
func note[K comparable](uses map[K]use, key K, u use) {
	if u.installation == "" {
		u.installation = uses[key].installation
	}
	uses[key] = u
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
func (b *backlog) touch(names []postern.Hostname, ports []store.PortKey, at time.Time) {
	if len(names) == 0 && len(ports) == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting.makeMaps()
	for _, host := range names {
		note(b.waiting.names, host, use{at: at})
	}
	for _, port := range ports {
		note(b.waiting.ports, port, use{at: at})
	}
	b.signal()
}

func (b *backlog) keepName(host postern.Hostname, u use) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting.makeMaps()
	note(b.waiting.names, host, u)
	b.signal()
}

func (b *backlog) keepPort(port store.PortKey, u use) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting.makeMaps()
	note(b.waiting.ports, port, u)
	b.signal()
}

// nameKeeper returns the installation of a name that the store does not know yet.
func (b *backlog) nameKeeper(host postern.Hostname) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return keeper(host, b.waiting.names, b.writing.names)
}

// portKeeper is nameKeeper for ports.
func (b *backlog) portKeeper(port store.PortKey) (string, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return keeper(port, b.waiting.ports, b.writing.ports)
}

// portKeepers returns what portKeeper does, for all ports.
func (b *backlog) portKeepers() map[store.PortKey]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	keepers := make(map[store.PortKey]string)
	for _, uses := range []map[store.PortKey]use{b.writing.ports, b.waiting.ports} { // newest last
		for port, u := range uses {
			if u.installation != "" {
				keepers[port] = u.installation
			}
		}
	}
	return keepers
}

// keeper finds key's installation in the first of the maps that has one.
func keeper[K comparable](key K, newestFirst ...map[K]use) (string, bool) {
	for _, uses := range newestFirst {
		if installation := uses[key].installation; installation != "" {
			return installation, true
		}
	}
	return "", false
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
	b.writing = part
	return part
}

// written tells that the part taken last is in the store.
func (b *backlog) written() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.writing = batch{}
}

func takeSome[K comparable](uses map[K]use) map[K]use {
	some := make(map[K]use, min(len(uses), maxPart))
	for key, u := range uses {
		if len(some) == maxPart {
			break
		}
		some[key] = u
		delete(uses, key)
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
	b.writing = batch{}
	b.waiting = batch{events: append(failed.events, later.events...)}
	b.waiting.makeMaps()
	for _, part := range []batch{failed, later} { // newer uses replace older ones
		for host, u := range part.names {
			note(b.waiting.names, host, u)
		}
		for port, u := range part.ports {
			note(b.waiting.ports, port, u)
		}
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
		w.names = make(map[postern.Hostname]use)
		w.ports = make(map[store.PortKey]use)
	}
}

func (w *batch) empty() bool { return len(w.events) == 0 && len(w.names) == 0 && len(w.ports) == 0 }

func (w *batch) write(d *draft) error {
	if err := w.writeNames(d); err != nil {
		return err
	}
	if err := w.writePorts(d); err != nil {
		return err
	}
	for _, e := range w.events {
		if err := d.append(e.event, e.subject); err != nil {
			return err
		}
	}
	return nil
}

func (w *batch) writeNames(d *draft) error {
	for host, u := range w.names {
		if err := d.Names().Touch(d.ctx, host, u.at); err != nil {
			return err
		}
		if u.installation == "" {
			continue
		}
		if err := d.Names().Keep(d.ctx, host, u.installation); err != nil {
			return err
		}
	}
	return nil
}

func (w *batch) writePorts(d *draft) error {
	for port, u := range w.ports {
		if err := d.Ports().Touch(d.ctx, port, u.at); err != nil {
			return err
		}
		if u.installation == "" {
			continue
		}
		if err := d.Ports().Keep(d.ctx, port, u.installation); err != nil {
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
			if s.retired.Load() {
				continue
			}
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
	var names []postern.Hostname
	var ports []store.PortKey
	for _, e := range s.inUse() {
		switch {
		case e.URL.Internal(): // which nobody reserves
		case !e.URL.Scheme.Hosted():
			ports = append(ports, store.PortKey{Scheme: e.URL.Scheme, Port: e.URL.Port})
		default:
			names = append(names, e.URL.Host)
		}
	}
	s.pending.touch(names, ports, s.now())
}
