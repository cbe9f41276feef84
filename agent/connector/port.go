package connector

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/relay/flow"
)

// port is a remote at work. It outlives connections and reloads that do not change it.
type port struct {
	Remote
	dialer dial.Dialer
	log    *slog.Logger

	*traffic
	unwell atomic.Bool            // as its checks say
	down   atomic.Bool            // the last connection found nobody
	latest atomic.Pointer[string] // why the target could not be reached

	mu      sync.Mutex
	removed bool
	offered wire           // where it is offered or being offered; nil: nowhere
	refusal *postern.Error // of the last offer
	changed func()         // tells the line to look at what is offered
}

// traffic counts what a port has done, across changes of its configuration.
type traffic struct {
	total, open, refused, failed atomic.Int64 // connections, flows
	moved                        relay.Counters
	datagrams                    flow.Counters
}

// upstreamPatience bounds the dial of a target. One that refuses is known at once; this
// is for one that does not answer.
const upstreamPatience = 10 * time.Second

func newPort(r Remote, rules allow.Targets, log *slog.Logger, changed func()) *port {
	p := &port{Remote: r, traffic: new(traffic), log: log.With(slog.String("remote", r.String())), changed: changed}
	p.dialer = dial.Dialer{Timeout: upstreamPatience, Permit: permit(r, rules, r.Allow)}
	return p
}

// gone tells whether the configuration has the port no longer.
func (p *port) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.removed
}

// offeredNow is where the port is offered; nil: nowhere.
func (p *port) offeredNow() wire {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.offered
}

// remove takes the port out of service; streams that are open live on.
func (p *port) remove() {
	p.mu.Lock()
	p.removed = true
	p.mu.Unlock()
	p.changed()
}

// wanted tells whether the port is to be offered now: one whose target is not well is
// taken offline where the wire can do that.
func (p *port) wanted() bool { return !p.unwell.Load() && !p.gone() }

// watch keeps an eye on the target until ctx ends or the port is removed.
func (p *port) watch(ctx context.Context) {
	check, failures := *p.Check, 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if p.gone() {
			return
		}
		err := check.try(ctx, &p.dialer, p.Target())
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			failures = 0
		} else {
			failures++
		}
		p.judge(ctx, failures, err)
		timer.Reset(check.Interval)
	}
}

// judge takes a port whose target failed twice in a row, or the very first time, out of
// service and puts it back at the first success.
func (p *port) judge(ctx context.Context, failures int, err error) {
	switch {
	case failures == 0 && p.unwell.CompareAndSwap(true, false):
		p.log.InfoContext(ctx, "the target is well again", slog.String("target", p.Target()))
	case failures >= unwellAfter && p.unwell.CompareAndSwap(false, true):
		text := err.Error()
		p.latest.Store(&text)
		p.log.WarnContext(ctx, "the target is not well, its port is taken out of service", slog.String("target", p.Target()), slog.String("err", text))
	default:
		return
	}
	p.changed()
}
