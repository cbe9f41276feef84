package connector

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

const (
	firstReoffer = time.Second
	mostReoffer  = time.Minute
	// offersAtOnce is how many remotes are asked for at a time.
	offersAtOnce = 16
)

// keepOffered takes the ports of a line online, those that were refused again and again,
// and takes those offline that were removed or whose target is not well. A refusal of one
// is never another's problem. A fixed wire has offered all it ever will.
func (l *line) keepOffered(ctx context.Context, w wire) {
	if w.Fixed() {
		for _, p := range l.portsNow() {
			p.mu.Lock()
			p.offered = w
			p.mu.Unlock()
		}
		return
	}
	wait := firstReoffer
	for {
		var again <-chan time.Time
		if l.offerMissing(ctx, w) > 0 {
			timer := time.NewTimer(wait)
			defer timer.Stop()
			again = timer.C
			wait = min(2*wait, mostReoffer)
		} else {
			wait = firstReoffer
		}
		select {
		case <-l.look:
		case <-again:
		case <-w.Draining(): // its successor offers them now
			return
		case <-w.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

// offerMissing brings what is online to what is wanted and returns how many were refused.
func (l *line) offerMissing(ctx context.Context, w wire) (refusals int) {
	var mu sync.Mutex
	// What goes makes room for what comes.
	for _, coming := range [...]bool{false, true} {
		var asked sync.WaitGroup
		slots := make(chan struct{}, offersAtOnce)
		for _, p := range l.portsNow() {
			if p.wanted() != coming {
				continue
			}
			slots <- struct{}{}
			asked.Go(func() {
				defer func() { <-slots }()
				if !l.settle(ctx, w, p, coming) {
					mu.Lock()
					defer mu.Unlock()
					refusals++
				}
			})
		}
		asked.Wait()
	}
	l.forgetRemoved()
	return refusals
}

// settle takes one port online or offline, whichever it is to be; false: it was refused.
func (l *line) settle(ctx context.Context, w wire, p *port, wanted bool) bool {
	p.mu.Lock()
	online, before := p.offered == w, p.refusal
	p.mu.Unlock()
	switch {
	case wanted == online:
		return true
	case !wanted:
		if err := w.Withdraw(ctx, p.Key); err != nil {
			p.log.DebugContext(ctx, "taking the port offline failed", slog.String("err", describe(err)))
		}
		p.setOffered(nil, nil)
		p.log.InfoContext(ctx, "the port is offline")
		return true
	}
	if err := w.Offer(ctx, p.Remote); err != nil {
		why := postern.AsError(err)
		select {
		case <-w.Done():
			return true // that is told once, and not for every port
		default:
		}
		p.setOffered(nil, why)
		level := slog.LevelWarn
		if before != nil && before.Code == why.Code {
			level = slog.LevelDebug
		}
		p.log.Log(ctx, level, "the gateway does not take the port", slog.String("err", describe(why)))
		return false
	}
	p.setOffered(w, nil)
	p.log.InfoContext(ctx, "the port is online")
	l.c.notify()
	return true
}

func (p *port) setOffered(w wire, refusal *postern.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offered, p.refusal = w, refusal
}

// stopped is the gateway's word that it took a port offline: it is asked for again later.
func (l *line) stopped(w wire, k Key, why *postern.Error) {
	p := l.port(k)
	if p == nil {
		return
	}
	p.mu.Lock()
	if p.offered == w {
		p.offered, p.refusal = nil, why
	}
	p.mu.Unlock()
	p.log.Warn("the gateway took the port offline", slog.String("err", describe(why)))
	l.lookAgain()
}

// lookAgain has what is offered compared with what is wanted.
func (l *line) lookAgain() {
	select {
	case l.look <- struct{}{}:
	default:
	}
}

// forgetRemoved drops the ports that are out of the configuration and offline.
func (l *line) forgetRemoved() {
	l.mu.Lock()
	defer l.mu.Unlock()
	var kept []*port
	for _, p := range l.ports {
		p.mu.Lock()
		gone := p.removed && p.offered == nil
		p.mu.Unlock()
		if !gone {
			kept = append(kept, p)
		}
	}
	l.ports = kept
}
