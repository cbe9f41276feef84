package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	firstRebind = time.Second
	mostRebind  = time.Minute

	// bindsAtOnce is how many endpoints of an agent are asked for at a time once it
	// has been online: taking fifty back over a slow link must not take fifty round
	// trips. The first time goes in order, so that logs and screens show the order
	// of the configuration.
	bindsAtOnce = 16
)

// keepBound takes every endpoint online, those that were refused again and again,
// and those that are added later. A refusal of one is never another's problem.
func (l *live) keepBound() {
	wait := firstRebind
	all, again := true, time.Time{}
	for first := true; ; first = false {
		l.s.mu.Lock()
		added := l.s.added
		l.s.mu.Unlock()
		refusals := l.bindMissing(all)
		if first {
			close(l.bound)
		}
		switch {
		case refusals == 0:
			wait, again = firstRebind, time.Time{}
		case all || again.IsZero():
			again = time.Now().Add(wait)
			wait = min(2*wait, mostRebind)
		}
		var more bool
		if all, more = l.pauseBinding(added, again); !more {
			return
		}
	}
}

// pauseBinding waits for a reason to bind: something that was added, or the time to ask
// again for everything. more false: the session has ended.
func (l *live) pauseBinding(added <-chan struct{}, again time.Time) (all, more bool) {
	var timeout <-chan time.Time
	if !again.IsZero() {
		timer := time.NewTimer(time.Until(again))
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case <-added:
		return false, true
	case <-timeout:
		return true, true
	case <-l.client.Done():
	case <-l.ctx.Done():
	}
	return false, false
}

// bindMissing asks for every binding that is not online, twins after their firsts, and
// returns how many were refused. Without all, those that were refused before wait.
func (l *live) bindMissing(all bool) (refusals int) {
	for _, all := range [...]bool{all, false} { // the second round is for the twins of what the first granted
		missing, atOnce := l.missing(all)
		slots := make(chan struct{}, atOnce)
		var asked sync.WaitGroup
		for _, b := range missing {
			slots <- struct{}{}
			asked.Go(func() {
				l.bindOne(b)
				<-slots
			})
		}
		asked.Wait()
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for _, b := range l.s.bindings {
		if b.on != l && !b.removed {
			refusals++
		}
	}
	return refusals
}

// missing lists what can be asked for now and how many at a time.
func (l *live) missing(all bool) (missing []*binding, atOnce int) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	atOnce = 1
	for _, b := range l.s.bindings {
		if b.bound.ID != "" {
			atOnce = bindsAtOnce
		}
		if b.ready() && (all || b.refusal == nil) {
			missing = append(missing, b)
		}
	}
	return missing, atOnce
}

// bindOne takes one binding online, or notes why not.
func (l *live) bindOne(b *binding) {
	l.s.mu.Lock()
	if !b.ready() {
		l.s.mu.Unlock()
		return
	}
	b.on = l
	request := b.next()
	l.s.mu.Unlock()

	ctx, cancel := context.WithTimeout(l.ctx, callPatience)
	bound, err := l.client.Bind(ctx, request)
	cancel()

	l.s.mu.Lock()
	before := b.bound
	again := b.refusal != nil
	if err != nil {
		b.on = nil
		b.refusal = postern.AsError(err)
		b.removed = b.removed || b.once
	} else {
		b.bound, b.refusal, b.granted = bound, nil, l
		if b.since.IsZero() {
			b.since = time.Now()
		}
	}
	removed, once := b.removed, b.once
	announce(&l.s.answered)
	l.s.mu.Unlock()
	switch {
	case err == nil && removed: // while the answer was on its way
		_ = l.unbind(l.ctx, []*binding{b}) // best effort: the session's end does it too
	case err == nil:
		l.attend(b, bound)
		l.tellBound(b, before, bound)
	case !once: // else whoever waits for the answer is told
		l.tellRefused(b, postern.AsError(err), again)
	}
}

func (l *live) tellBound(b *binding, before, bound link.Bound) {
	level := slog.LevelDebug
	if before.PublicURL != bound.PublicURL {
		level = slog.LevelInfo
	}
	// Old wrappers find the URL in the server's answer, at the level debug.
	l.s.log.DebugContext(l.ctx, "decoded response", logObject, slog.String("response",
		fmt.Sprintf("&{URL:%s Proto:%s Error:}", bound.PublicURL, bound.URL.Scheme)))
	l.s.log.Log(l.ctx, level, "started tunnel", slog.String("obj", "tunnels"), slog.String("name", b.label),
		slog.String("addr", b.address), slog.String("url", bound.PublicURL))
	if level == slog.LevelInfo && l.s.config.Events.Bound != nil {
		l.s.tell(func(e Events) { e.Bound(b.name, b.label, bound) })
	}
}

func (l *live) tellRefused(b *binding, why *postern.Error, again bool) {
	select {
	case <-l.client.Done():
		return // the session ended; that is told once, and not for every endpoint
	default:
	}
	level := slog.LevelWarn
	if again {
		level = slog.LevelDebug
	}
	l.s.log.Log(l.ctx, level, "failed to start tunnel", slog.String("obj", "tunnels"), slog.String("name", b.label),
		slog.String("err", describe(why)))
	if !again && l.s.config.Events.Refused != nil {
		l.s.tell(func(e Events) { e.Refused(b.name, why) })
	}
}

// refusedWhole waits until every endpoint was asked for, if this is the first
// session, and returns why there is no point in going on: endpoints were asked
// for, and each was definitely refused.
func (l *live) refusedWhole(ctx context.Context, first bool) *postern.Error {
	if !first {
		return nil
	}
	select {
	case <-l.bound:
	case <-l.client.Done():
		return nil
	case <-ctx.Done():
		return nil
	}
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	var why *postern.Error
	for _, b := range l.s.bindings {
		if b.bound.ID != "" || b.refusal != nil && !refused(b.refusal) {
			return nil
		}
		if why == nil {
			why = b.refusal
		}
	}
	return why
}

// unbind takes bindings offline at the server. All are asked for at once; the
// first error is returned.
func (l *live) unbind(ctx context.Context, gone []*binding) error {
	ctx, cancel := context.WithTimeout(ctx, callPatience)
	defer cancel()
	var (
		asked sync.WaitGroup
		errs  = make([]error, len(gone))
	)
	for i, b := range gone {
		l.s.mu.Lock()
		id, online := b.bound.ID, b.on == l && b.bound.ID != ""
		if online {
			b.on = nil
		}
		l.s.mu.Unlock()
		if online {
			asked.Go(func() { errs[i] = l.client.Unbind(ctx, id) })
		}
	}
	asked.Wait()
	return errors.Join(errs...)
}

// endpointStopped is the server's word that it took an endpoint offline. Somebody
// decided so, so it is not asked for again.
func (l *live) endpointStopped(id string, why *postern.Error) {
	if why == nil {
		why = &postern.Error{Code: postern.CodeEndpointOffline}
	}
	l.s.mu.Lock()
	var gone []*binding
	l.s.bindings = slices.DeleteFunc(l.s.bindings, func(b *binding) bool {
		stopped := b.bound.ID == id && b.on == l
		if stopped {
			gone, b.removed, b.on = append(gone, b), true, nil
			b.leave()
		}
		return stopped
	})
	announce(&l.s.answered)
	l.s.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	name := gone[0].name
	l.s.log.WarnContext(l.ctx, "tunnel was stopped by the server", slog.String("obj", "tunnels"),
		slog.String("name", name), slog.String("err", describe(why)))
	if l.s.config.Events.Stopped != nil {
		l.s.tell(func(e Events) { e.Stopped(name, why) })
	}
	l.s.tellRemoved(gone)
}
