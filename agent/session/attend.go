package session

import (
	"context"

	"github.com/postern-dev/postern/link"
)

// attend has the handler of a binding look after it until the session ends or the binding
// goes. It is called where one of the session's workers runs.
func (l *live) attend(b *binding, bound link.Bound) {
	attendant, is := b.handler.(Attendant)
	if !is {
		return
	}
	certifier, _ := l.client.(link.Certifier)
	ctx, cancel := context.WithCancel(l.ctx)
	l.s.mu.Lock()
	if b.removed {
		cancel()
	}
	before := b.attended
	b.attended = cancel
	l.s.mu.Unlock()
	if before != nil {
		before() // over the session before, which may live on for its streams
	}
	l.workers.Go(func() {
		defer cancel()
		attendant.Attend(ctx, bound, certifier)
	})
}

// leave ends that; the Supervisor's lock is held.
func (b *binding) leave() {
	if b.attended != nil {
		b.attended()
	}
}
