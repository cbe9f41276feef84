package connector

import (
	"context"
	"log/slog"
	"reflect"
	"slices"

	"github.com/postern-dev/postern/internal/allow"
)

// Apply takes over other gateways and rules while Run runs, or before it. What does not
// differ is not touched; a gateway or remote that is gone takes no new connections, and
// those that are open finish. Errors are New's, and then nothing has changed.
//
// Over chisel's wire the remotes of a connection are fixed: one that is new gets a
// connection of its own, and the port of one that is gone stays open at the server,
// refused here, until that connection ends.
func (c *Connector) Apply(ctx context.Context, gateways []Gateway, rules allow.Targets) error {
	prepared, err := prepare(gateways, rules)
	if err != nil {
		return err
	}
	for _, g := range prepared {
		if _, err := c.newRoute(g); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before, sameRules := c.gateways, reflect.DeepEqual(c.rules, rules)
	c.gateways, c.rules = nil, rules
	var kept []*gateway
	for _, next := range prepared {
		at := slices.IndexFunc(before, func(g *gateway) bool { return g.Name == next.Name && g.same(next.Gateway) && len(g.lines) > 0 })
		if at < 0 {
			if err := c.add(next); err != nil { // its certificates were there a moment ago
				c.log.ErrorContext(ctx, "a gateway was not taken over", slog.String("gateway", next.Name), slog.String("err", describe(err)))
			}
			continue
		}
		kept = append(kept, before[at])
		c.gateways = append(c.gateways, before[at])
		c.change(ctx, before[at], next.Remotes, sameRules)
	}
	for _, g := range before {
		if !slices.Contains(kept, g) {
			c.drop(ctx, g)
		}
	}
	return nil
}

// drop ends a gateway's lines, in order.
func (c *Connector) drop(ctx context.Context, g *gateway) {
	c.log.InfoContext(ctx, "the gateway is left", slog.String("gateway", g.Name))
	for _, l := range g.lines {
		l.leave()
	}
}

// change gives a gateway other remotes.
func (c *Connector) change(ctx context.Context, g *gateway, next []Remote, sameRules bool) {
	g.Remotes = next
	wanted := map[Key]Remote{}
	for _, r := range next {
		wanted[r.Key] = r
	}
	for _, l := range g.lines {
		l.mu.Lock()
		for i, p := range l.ports {
			r, found := wanted[p.Key]
			if p.gone() {
				continue
			}
			delete(wanted, p.Key)
			switch {
			case !found:
				p.log.InfoContext(ctx, "the remote is removed")
				p.remove()
			case !sameRules || !reflect.DeepEqual(r, p.Remote):
				l.ports[i] = c.replace(l, p, r)
				if p.offeredNow() != nil {
					l.ports = append(l.ports, p) // to be withdrawn
				}
			}
		}
		l.mu.Unlock()
	}
	var added []Remote
	for _, r := range next {
		if _, isNew := wanted[r.Key]; isNew {
			added = append(added, r)
		}
	}
	c.place(ctx, g, added)
	for _, l := range g.lines {
		if len(l.remotes()) == 0 {
			l.leave()
		}
		l.lookAgain()
	}
}

// replace makes the port of a remote that has changed, or whose rules have. Where the
// gateway need not know, or cannot be told, it goes on under the offer of the old one;
// else the old one stays until it is withdrawn. The line's lock is held.
func (c *Connector) replace(l *line, old *port, r Remote) *port {
	p := newPort(r, c.rules, l.log, l.lookAgain)
	p.traffic = old.traffic
	old.mu.Lock()
	if old.offered != nil && (r.wire() == old.Remote.wire() || old.offered.Fixed()) {
		p.offered, old.offered = old.offered, nil
	}
	old.removed = true
	old.mu.Unlock()
	if reflect.DeepEqual(r.Check, old.Check) && r.Target() == old.Target() {
		p.unwell.Store(old.unwell.Load())
	}
	c.watch(p)
	return p
}

// place gives remotes that are new to a line: to the gateway's own, or where that is
// connected and cannot change, to one more.
func (c *Connector) place(ctx context.Context, g *gateway, added []Remote) {
	if len(added) == 0 {
		return
	}
	for _, l := range g.lines {
		l.mu.Lock()
		free := l.left.Err() == nil && (l.current == nil || !l.current.Fixed())
		if free {
			for _, r := range added {
				p := newPort(r, c.rules, l.log, l.lookAgain)
				l.ports = append(l.ports, p)
				c.watch(p)
			}
		}
		l.mu.Unlock()
		if free {
			return
		}
	}
	if err := c.addLine(g, added); err != nil {
		c.log.ErrorContext(ctx, "the new remotes were not taken over", slog.String("gateway", g.Name), slog.String("err", describe(err)))
	}
}
