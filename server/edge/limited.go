package edge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// limited tells whether an account or credential is at a limit.
func limited(err error) bool {
	return isCode(err, postern.CodeRequestLimit) || isCode(err, postern.CodeConnectionLimit)
}

// pause implements forwarder.
func (x *webExchange) pause(m *quota.Meter, wait time.Duration) error {
	rest(m, wait, x.r.Context().Done())
	if x.r.Context().Err() != nil {
		return errVisitorGone
	}
	return nil
}

// pause implements forwarder.
func (c *conversation) pause(m *quota.Meter, wait time.Duration) error {
	ctx, cancel := context.WithCancel(c.edge.ctx)
	defer cancel()
	over := c.watch.opening(cancel)
	rest(m, wait, ctx.Done())
	c.watch.end(nil)
	over()
	return c.watch.reason()
}

// tunnelRefused resets a visitor's connection for which an account or credential has no
// place.
func (e *Edge) tunnelRefused(v *visitor, r *route.Route, why *postern.Error) {
	e.metrics.rejected(rejectLimit)
	if also, now := e.refusals.note(time.Now()); now {
		e.logger.InfoContext(e.ctx, "connection refused at a limit", "endpoint", r.URL.String(), "account", r.Account,
			"client", v.client.String(), "also", also, "error", why)
	}
	e.tunnelEnded(v, r, relay.Result{Err: why})
	v.abort(why)
}

// refusals keeps those who knock at a full endpoint from filling the log. The zero value
// is ready.
type refusals struct {
	began       sync.Once
	first       time.Time
	next, quiet atomic.Int64 // next is counted from first on
}

// note tells whether a refusal is to be logged, and how many were not since the last.
func (r *refusals) note(now time.Time) (also int64, log bool) {
	r.began.Do(func() { r.first = now })
	at, next := now.Sub(r.first), r.next.Load()
	if int64(at) < next || !r.next.CompareAndSwap(next, int64(at+time.Second)) {
		r.quiet.Add(1)
		return 0, false
	}
	return r.quiet.Swap(0), true
}
