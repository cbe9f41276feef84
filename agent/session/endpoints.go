package session

import (
	"context"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Endpoints is a snapshot of every URL, in the order in which endpoints were added,
// an endpoint's own before its twins.
func (s *Supervisor) Endpoints() []EndpointStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]EndpointStatus, len(s.bindings))
	for i, b := range s.bindings {
		all[i] = b.status()
	}
	return all
}

// Add takes one more endpoint online, now or with the next session. It does not
// wait for that: Events tell. A name that is in use is CodeConflict.
func (s *Supervisor) Add(e Endpoint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.add(e.bindings())
}

// add is Add; the lock is held.
func (s *Supervisor) add(bindings []*binding) error {
	for _, b := range bindings {
		taken := func(other *binding) bool { return other.name == b.name || other.label == b.label }
		if slices.ContainsFunc(s.bindings, taken) {
			return postern.Errorf(postern.CodeConflict, "tunnel %q already exists", b.label)
		}
	}
	s.bindings = append(s.bindings, bindings...)
	announce(&s.added)
	return nil
}

// TakeOnline is Add that waits for the server's answer and gives what is online: the
// endpoint's own URL first, then its twins. Where one of them is refused, none is kept
// and the name is free again: the error is the server's. Without a session it fails at
// once with CodeNotReady; when ctx ends first, with CodeServerUnreachable.
func (s *Supervisor) TakeOnline(ctx context.Context, e Endpoint) ([]EndpointStatus, error) {
	bindings := e.bindings()
	for _, b := range bindings {
		b.once = true
	}
	s.mu.Lock()
	current, err := s.current, error(nil)
	if current == nil || s.status.State == Draining {
		err = notReady()
	} else {
		err = s.add(bindings)
	}
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	online, err := s.awaitAnswers(ctx, current, bindings)
	if err != nil {
		_ = s.forget(context.WithoutCancel(ctx), bindings) // what was refused says more
		return nil, err
	}
	return online, nil
}

func notReady() error {
	return postern.Errorf(postern.CodeNotReady, "a successful ngrok tunnel session has not yet been established")
}

// awaitAnswers waits until every binding is online, or one is refused.
func (s *Supervisor) awaitAnswers(ctx context.Context, current *live, bindings []*binding) ([]EndpointStatus, error) {
	for {
		s.mu.Lock()
		answered := s.answered
		online := make([]EndpointStatus, 0, len(bindings))
		var why error
		for _, b := range bindings {
			switch status := b.status(); {
			case b.refusal != nil:
				why = b.refusal
			case b.removed:
				why = postern.Errorf(postern.CodeNotFound, "tunnel %q was removed meanwhile", b.label)
			case status.Online:
				online = append(online, status)
			}
		}
		if why == nil && len(online) == len(bindings) {
			for _, b := range bindings {
				b.once = false // from now on it comes back as others do
			}
		}
		s.mu.Unlock()
		if why != nil || len(online) == len(bindings) {
			return online, why
		}
		select {
		case <-answered:
		case <-current.client.Done():
			return nil, notReady()
		case <-current.client.Draining():
			return nil, notReady()
		case <-ctx.Done():
			return nil, postern.Errorf(postern.CodeServerUnreachable, "the server did not answer in time").Because(ctx.Err())
		}
	}
}

// Remove takes an endpoint offline and forgets it, twins included; streams that are
// open live on. The label of a twin removes that alone. An unknown name is
// CodeNotFound. It waits for the server's answer, until ctx ends; the endpoint is gone
// from here either way.
func (s *Supervisor) Remove(ctx context.Context, name string) error {
	return s.removeThose(ctx, name, func(b *binding) bool {
		return b.name == name || b.first != nil && b.label == name
	})
}

// RemoveLabel is Remove of one URL alone: of an endpoint's own its twins stay.
func (s *Supervisor) RemoveLabel(ctx context.Context, label string) error {
	return s.removeThose(ctx, label, func(b *binding) bool { return b.label == label })
}

func (s *Supervisor) removeThose(ctx context.Context, name string, which func(*binding) bool) error {
	s.mu.Lock()
	var gone []*binding
	for _, b := range s.bindings {
		if which(b) {
			gone = append(gone, b)
		}
	}
	s.mu.Unlock()
	if len(gone) == 0 {
		return postern.Errorf(postern.CodeNotFound, "there is no endpoint %q", name)
	}
	err := s.forget(ctx, gone)
	s.tellRemoved(gone)
	return err
}

// tellRemoved tells of bindings that are out of the list, however they got there.
func (s *Supervisor) tellRemoved(gone []*binding) {
	if s.config.Events.Removed == nil {
		return
	}
	s.tell(func(e Events) {
		for _, b := range gone {
			e.Removed(b.name, b.label)
		}
	})
}

// forget takes bindings offline and out of the list.
func (s *Supervisor) forget(ctx context.Context, gone []*binding) error {
	s.mu.Lock()
	s.bindings = slices.DeleteFunc(s.bindings, func(b *binding) bool { return slices.Contains(gone, b) })
	for _, b := range gone {
		b.removed = true
		b.leave()
	}
	current := s.current
	announce(&s.answered)
	s.mu.Unlock()
	if current == nil {
		return nil
	}
	return current.unbind(ctx, gone)
}

// serveCounted hands a stream to its endpoint, and to those who look at it.
func (s *Supervisor) serveCounted(ctx context.Context, b *binding, h link.Header, stream link.Stream) {
	b.streams.began()
	defer b.streams.ended()
	if meter := s.config.Meter; meter != nil {
		began := time.Now()
		meter.StreamBegan(b.label)
		defer func() { meter.StreamEnded(b.label, time.Since(began)) }()
	}
	if tappable, ok := b.handler.(Tappable); ok && b.tap != nil {
		if tap := b.tap.Stream(b.label, h.ClientAddr, h.Scheme); tap != nil {
			tappable.ServeTapped(ctx, h, stream, tap)
			return
		}
	}
	b.handler.ServeStream(ctx, h, stream)
}
