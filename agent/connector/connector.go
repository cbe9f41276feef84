package connector

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/link"
)

// Config is what a Connector does. Gateways is required.
type Config struct {
	Gateways []Gateway
	// Allow are the addresses that may be dialled, whatever the remotes say; none allow
	// all that are declared.
	Allow allow.Targets
	// Drain is how long connections may go on when the connector or a gateway is stopped;
	// 0 is DefaultDrain.
	Drain time.Duration
	// FailFast ends Run when the first connection is definitely refused: a token that is
	// not the gateway's will not become so.
	FailFast bool

	UserAgent string     // in HTTP
	Hello     link.Hello // what is said of the program over our native link
	// DialGateway reaches gateways; its Proxy is each gateway's own.
	DialGateway dial.Dialer
	Logger      *slog.Logger // nil: silent
	// Changed hears that a line came or went, or a port; it must not block. nil: nobody
	// does.
	Changed func()
}

// DefaultDrain is how long connections may go on after a stop.
const DefaultDrain = 30 * time.Second

// Connector keeps the lines of its gateways. Make one with New.
type Connector struct {
	config Config
	log    *slog.Logger
	reach  func(*route) connector // how lines connect; tests replace it

	retired  sync.WaitGroup // connections that were replaced
	running  sync.WaitGroup // lines and watches
	crew     run.Crew       // who serves streams
	allEnded chan struct{}

	mu        sync.Mutex
	rules     allow.Targets
	gateways  []*gateway
	ctx, work context.Context // of Run; nil before
	failure   error           // of the first line that ended by itself
	over      bool
}

// gateway is one gateway at work.
type gateway struct {
	Gateway
	at    address
	lines []*line
}

// New checks the configuration. Errors are CodeFlagInvalid, CodeRemoteInvalid,
// CodeTargetRefused for a remote that the rules exclude, CodeFileUnreadable and
// CodeConfigInvalid.
func New(c Config) (*Connector, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	made := &Connector{config: c, log: c.Logger, rules: c.Allow, allEnded: make(chan struct{})}
	made.reach = func(r *route) connector { return r.connect }
	prepared, err := prepare(c.Gateways, c.Allow)
	if err != nil {
		return nil, err
	}
	for _, g := range prepared {
		if err := made.add(g); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// prepare checks gateways against each other and against the rules.
func prepare(gateways []Gateway, rules allow.Targets) ([]*gateway, error) {
	if len(gateways) == 0 {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "there is no gateway to connect to")
	}
	var prepared []*gateway
	for _, g := range gateways {
		at, err := g.prepare()
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(prepared, func(other *gateway) bool { return other.Name == g.Name }) {
			return nil, postern.Errorf(postern.CodeFlagInvalid, "two gateways are called %q; give them names", g.Name)
		}
		for _, r := range g.Remotes {
			for _, set := range []allow.Targets{rules, r.Allow} {
				if err := r.permitted(set); err != nil {
					return nil, err
				}
			}
		}
		prepared = append(prepared, &gateway{Gateway: g, at: at})
	}
	return prepared, nil
}

// add gives a gateway its line and, where Run has begun, starts it. The lock is held, or
// nobody else knows c yet.
func (c *Connector) add(g *gateway) error {
	if _, err := c.newRoute(g); err != nil {
		return err
	}
	c.gateways = append(c.gateways, g)
	return c.addLine(g, g.Remotes)
}

// newRoute makes the way to a gateway, under an instance id of its own.
func (c *Connector) newRoute(g *gateway) (*route, error) {
	config, roots, err := g.trust()
	if err != nil {
		return nil, err
	}
	r := &route{
		gateway: &g.Gateway, base: g.at, net: c.config.DialGateway, tls: config, roots: roots,
		instance: instanceID(), userAgent: c.config.UserAgent, hello: c.config.Hello,
		logger: c.log.With(slog.String("gateway", g.Name)),
	}
	if g.Proxy != nil { // its own copy: what the operator gave is compared at reloads
		proxy := *g.Proxy
		proxy.Roots = roots
		r.net.Proxy = &proxy
	}
	return r, nil
}

// addLine gives a gateway one more line, for remotes.
func (c *Connector) addLine(g *gateway, remotes []Remote) error {
	r, err := c.newRoute(g)
	if err != nil {
		return err
	}
	l := &line{
		c: c, gateway: g.Name, route: r, backoff: newBackoff(g.Retry), log: r.logger,
		kick: make(chan struct{}, 1), look: make(chan struct{}, 1),
	}
	l.connect = c.reach(r)
	r.stopped = l.stopped
	l.left, l.leave = context.WithCancel(context.Background())
	for _, remote := range remotes {
		l.ports = append(l.ports, newPort(remote, c.rules, l.log, l.lookAgain))
	}
	g.lines = append(g.lines, l)
	c.start(l)
	return nil
}

// start runs a line, once Run has begun.
func (c *Connector) start(l *line) {
	if c.ctx == nil || c.over {
		return
	}
	ctx, work := c.ctx, c.work
	for _, p := range l.portsNow() {
		c.watch(p)
	}
	c.running.Go(func() { c.finished(l, l.run(ctx, work)) })
}

// watch starts the checks of a port's target.
func (c *Connector) watch(p *port) {
	if p.Check != nil && c.ctx != nil {
		ctx := c.ctx
		c.running.Go(func() { p.watch(ctx) })
	}
}

// finished takes a line out that has ended; the last one ends Run.
func (c *Connector) finished(l *line, err error) {
	l.leave()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure == nil {
		c.failure = err
	}
	left := 0
	for _, g := range c.gateways {
		g.lines = slices.DeleteFunc(g.lines, func(other *line) bool { return other == l })
		left += len(g.lines)
	}
	if left == 0 && !c.over {
		c.over = true
		close(c.allEnded)
	}
}

// Run serves until ctx ends, then drains and returns nil. It returns an error when the
// last line has given up, or as FailFast says. It is called once.
func (c *Connector) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	// What is open outlives ctx: it ends by drain.
	work, end := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		cancel()
		c.running.Wait()
		end()
		c.retired.Wait()
		c.crew.Close()
	}()
	c.mu.Lock()
	c.ctx, c.work = ctx, work
	for _, g := range c.gateways {
		for _, l := range g.lines {
			c.start(l)
		}
	}
	c.mu.Unlock()
	select {
	case <-ctx.Done():
		c.running.Wait()
		return nil
	case <-c.allEnded:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failure
}

// Hangup has lines that wait try again at once. It tells whether there was one.
func (c *Connector) Hangup() (waited bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.gateways {
		for _, l := range g.lines {
			l.mu.Lock()
			waited = waited || l.waiting
			l.mu.Unlock()
			l.hangup()
		}
	}
	return waited
}

func (c *Connector) drainTime() time.Duration { return cmp.Or(c.config.Drain, DefaultDrain) }

// isDraining tells whether the connector was asked to stop.
func (c *Connector) isDraining() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ctx != nil && c.ctx.Err() != nil
}

// notify tells whoever wants to know that something changed.
func (c *Connector) notify() {
	if c.config.Changed != nil {
		c.config.Changed()
	}
}
