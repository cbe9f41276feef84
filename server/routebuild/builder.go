// Package routebuild makes the route table that the edge looks things up in. The
// table is derived state: it is made from the live endpoints each time they change,
// and on a timer besides, checked, and swapped in as a whole. When something is wrong
// with a new table the last good one stays.
package routebuild

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
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
	Cloud   Source         // of cloud endpoints; nil: there are none
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
	tables run.Rounds[struct{}]

	joints map[pair]*joint // those in the table in force; only build uses it

	mu    sync.Mutex
	built [2]<-chan struct{} // closed when the table in force is out of date
}

// New returns a Builder; it makes nothing before Sync or Run is called.
func New(c Config) *Builder {
	if c.Interval <= 0 {
		c.Interval = 10 * time.Second
	}
	if c.MaxRoutes <= 0 {
		c.MaxRoutes = 1_000_000
	}
	return &Builder{config: c}
}

// Run keeps the table current until ctx ends, and returns nil then. A table that
// cannot be made is logged and tried again at the next change or interval.
func (b *Builder) Run(ctx context.Context) error {
	ticker := time.NewTicker(b.config.Interval)
	defer ticker.Stop()
	for {
		_ = b.Sync(ctx) // has logged its error
		agents, clouds := b.outdated()
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-agents:
		case <-clouds:
		}
	}
}

// outdated returns channels of which one is closed when the table in force does not show
// what is online. A Sync that saw the latest change replaces them.
func (b *Builder) outdated() (agents, clouds <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.built[0], b.built[1]
}

// Sync returns once a table is in force that includes everything that was online
// when it was called. However many call it at once, at most two tables are made: the
// one under way, which may have read the source too early, and one for them all.
//
// An error says that the last good table is still in force, or that ctx ended first.
func (b *Builder) Sync(ctx context.Context) error {
	_, err := b.tables.Do(ctx, func() (struct{}, error) { return struct{}{}, b.build(ctx) })
	if why := context.Cause(ctx); why != nil && errors.Is(err, why) {
		return postern.Errorf(postern.CodeServerBusy, "the route table was not rebuilt in time").Because(why)
	}
	return err
}

// build makes a table. It does not look at ctx's end, because others wait for the table
// too; it takes milliseconds.
func (b *Builder) build(ctx context.Context) error {
	changed := [2]<-chan struct{}{b.config.Source.Changed()}
	if b.config.Cloud != nil {
		changed[1] = b.config.Cloud.Changed()
	}
	b.mu.Lock()
	b.built = changed
	b.mu.Unlock()

	started := time.Now()
	routes := b.config.Source.Owners()
	if b.config.Cloud != nil {
		routes = b.join(routes, b.config.Cloud.Owners())
	}
	table, err := b.check(routes)
	if err != nil {
		b.config.Logger.ErrorContext(ctx, "the route table was not replaced",
			slog.Any("error", err), slog.Int("routes", len(routes)), slog.Int("routes_in_force", b.config.Current.Load().Len()))
		return err
	}
	b.config.Current.Store(table)
	b.config.Logger.DebugContext(ctx, "route table in force",
		slog.Int("routes", table.Len()), slog.Duration("took", time.Since(started)))
	return nil
}

// check makes a table and refuses what cannot be right.
func (b *Builder) check(routes []*route.Route) (*route.Table, error) {
	if len(routes) > b.config.MaxRoutes {
		return nil, postern.Errorf(postern.CodeInternal,
			"route table: %d routes are more than the %d that are believed", len(routes), b.config.MaxRoutes)
	}
	return route.New(routes)
}
