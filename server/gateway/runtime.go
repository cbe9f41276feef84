package gateway

import (
	"context"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/throttle"
)

// Runtime serves the private gateways of a node. Make one with New and Run it; Close must
// be called in the end. Its methods may be called from anywhere at any time.
type Runtime struct {
	config   Config
	log      *slog.Logger
	live     atomic.Pointer[Live]
	table    atomic.Pointer[table]
	throttle *throttle.Throttle
	metrics  *metrics
	began    time.Time

	ctx    context.Context // ends when everything is to be cut
	cancel context.CancelCauseFunc
	all    sync.WaitGroup // every goroutine of ours, and every connection
	crew   run.Crew       // who serves consumers

	turn     sync.Mutex // held from when definitions are read until they are in force
	mu       sync.Mutex
	closed   bool
	retired  bool // another process of the node serves
	gateways map[string]*gateway
}

// New makes a Runtime that has no gateways until Run or Refresh has read them.
func New(c Config) *Runtime {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Sockets == nil {
		c.Sockets = machine{}
	}
	r := &Runtime{
		config: c, log: c.Logger, throttle: throttle.New(time.Now), began: time.Now(),
		gateways: make(map[string]*gateway),
	}
	r.metrics = newMetrics(c.Metrics, r)
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	none, _ := newTable(nil, nil)
	r.table.Store(none)
	r.Reload(c.Live)
	return r
}

// Reload puts l in force. What was opened where gateways may listen no more is closed.
func (r *Runtime) Reload(l Live) {
	l.Limits = l.Limits.orDefault()
	if former := r.live.Swap(&l); former != nil && !slices.Equal(former.Places, l.Places) {
		r.turn.Lock()
		defer r.turn.Unlock()
		r.apply(r.table.Load())
	}
}

// Region implements link.Registrar.
func (r *Runtime) Region() string { return r.config.Region }

// Run keeps definitions up to date, and probes endpoints, until ctx ends.
func (r *Runtime) Run(ctx context.Context) error {
	var probing sync.WaitGroup
	defer probing.Wait()
	probing.Go(func() { r.probe(ctx) })
	return r.follow(ctx)
}

// Close ends every connector and connection, closes every port, and waits for what it has
// started. why is what connectors are told.
func (r *Runtime) Close(why *postern.Error) {
	r.mu.Lock()
	r.closed = true
	var sessions []link.Session
	for _, g := range r.gateways {
		for c := range g.connectors {
			sessions = append(sessions, c.session)
		}
		for _, e := range g.endpoints {
			e.close()
		}
	}
	r.mu.Unlock()
	for _, s := range sessions {
		s.Close(why)
	}
	r.cancel(why)
	r.metrics.unregister()
	r.all.Wait()
	r.crew.Close()
}

// start runs f on a goroutine that Close waits for; false means that it is too late. A
// panic ends what f does, and nothing else. mu is held.
func (r *Runtime) start(f func()) bool {
	if r.closed {
		return false
	}
	r.all.Go(func() {
		defer r.survive()
		f()
	})
	return true
}

// brief is start for what lasts as long as something moves.
func (r *Runtime) brief(f func()) bool {
	if r.closed {
		return false
	}
	r.all.Add(1)
	r.crew.Go(func() {
		defer r.all.Done()
		defer r.survive()
		f()
	})
	return true
}

// survive is deferred where one connection is served, or one connector watched.
func (r *Runtime) survive() {
	if reason := recover(); reason != nil {
		r.log.Error("a private gateway failed inside Postern", "panic", reason, "stack", string(debug.Stack()))
	}
}

// gateway gives the live side of a definition, which it makes the first time. mu is held.
func (r *Runtime) gateway(d *definition) *gateway {
	g := r.gateways[d.ID]
	if g == nil {
		g = &gateway{
			runtime: r, endpoints: make(map[key]*endpoint), connectors: make(map[*connector]struct{}),
			addresses: newPlaces(), count: r.metrics.gateway(d.ID), meter: r.config.Meters.Account(d.Account),
		}
		g.definition.Store(d)
		g.ctx, g.cancel = context.WithCancelCause(r.ctx)
		g.meter.Hold()
		r.gateways[d.ID] = g
	}
	return g
}

// changed tells about something that came or went.
func (r *Runtime) changed(c Change) {
	if r.config.Changed != nil {
		r.config.Changed(c)
	}
}

var _ link.Registrar = (*Runtime)(nil)
