// Package routebuild makes the route table that the edge looks things up in. The
// table is derived state: it is made from the live endpoints each time they change,
// and on a timer besides, checked, and swapped in as a whole. When something is wrong
// with a new table the last good one stays.
package routebuild

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// Source knows who is online. cluster.Local is one.
type Source interface {
	// Owners returns one route for each address that is served.
	Owners() []*route.Route

	// Changed returns a channel that is closed at the next change after the call.
	Changed() <-chan struct{}
}

// Config says what a Builder works with. Source, Current and Logger are required.
type Config struct {
	Source  Source
	Current *route.Current // where tables are put in force
	Logger  *slog.Logger

	// Interval is how often Run makes a new table though nothing seems to have
	// changed; 0 is 10 seconds.
	Interval time.Duration

	// MaxRoutes is the largest table that is believed; 0 is one million.
	MaxRoutes int
}

// Builder keeps the route table current. All methods may be called from anywhere at
// once.
type Builder struct {
	config Config
	turn   chan struct{} // holds an element while a table is made

	mu    sync.Mutex
	next  *round          // whom the next table is for; nil while nobody waits
	built <-chan struct{} // closed when the table in force is out of date
}

// round is one table in the making and those who wait for it.
type round struct {
	done chan struct{} // closed when err is set
	err  error
}

// New returns a Builder; it makes nothing before Sync or Run is called.
func New(c Config) *Builder {
	if c.Interval <= 0 {
		c.Interval = 10 * time.Second
	}
	if c.MaxRoutes <= 0 {
		c.MaxRoutes = 1_000_000
	}
	return &Builder{config: c, turn: make(chan struct{}, 1)}
}

// Run keeps the table current until ctx ends, and returns nil then. A table that
// cannot be made is logged and tried again at the next change or interval.
func (b *Builder) Run(ctx context.Context) error {
	ticker := time.NewTicker(b.config.Interval)
	defer ticker.Stop()
	for {
		_ = b.Sync(ctx) // has logged its error
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-b.outdated():
		}
	}
}

// outdated returns a channel that is closed when the table in force does not show
// what is online. A Sync that saw the latest change replaces it.
func (b *Builder) outdated() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.built
}

// Sync returns once a table is in force that includes everything that was online
// when it was called. However many call it at once, at most two tables are made: the
// one under way, which may have read the source too early, and one for them all.
//
// An error says that the last good table is still in force, or that ctx ended first.
func (b *Builder) Sync(ctx context.Context) error {
	b.mu.Lock()
	r, first := b.next, false
	if r == nil {
		r, first = &round{done: make(chan struct{})}, true
		b.next = r
	}
	b.mu.Unlock()
	if first { // makes the table for all who join until it starts
		b.build(ctx, r)
		return r.err
	}
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return postern.Errorf(postern.CodeServerBusy, "the route table was not rebuilt in time").Because(context.Cause(ctx))
	}
}

// build makes the table of round r. It does not look at ctx's end, because others
// wait for r too; it takes milliseconds.
func (b *Builder) build(ctx context.Context, r *round) {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	defer close(r.done)

	changed := b.config.Source.Changed()
	b.mu.Lock()
	b.next = nil // who comes from now on may have registered too late for this one
	b.built = changed
	b.mu.Unlock()

	started := time.Now()
	routes := b.config.Source.Owners()
	table, err := b.check(routes)
	if err != nil {
		r.err = err
		b.config.Logger.ErrorContext(ctx, "the route table was not replaced",
			slog.Any("error", err), slog.Int("routes", len(routes)), slog.Int("routes_in_force", b.config.Current.Load().Len()))
		return
	}
	b.config.Current.Store(table)
	b.config.Logger.DebugContext(ctx, "route table in force",
		slog.Int("routes", table.Len()), slog.Duration("took", time.Since(started)))
}

// check makes a table and refuses what cannot be right.
func (b *Builder) check(routes []*route.Route) (*route.Table, error) {
	if len(routes) > b.config.MaxRoutes {
		return nil, postern.Errorf(postern.CodeInternal,
			"route table: %d routes are more than the %d that are believed", len(routes), b.config.MaxRoutes)
	}
	return route.New(routes)
}
