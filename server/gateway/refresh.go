package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

const (
	// refreshEvery is how often definitions are read though no event came.
	refreshEvery = 30 * time.Second
	// retryRefresh is how long to wait before definitions that could not be read are
	// asked for again. Those known last stay in force.
	retryRefresh = time.Second
	// stopTime is how long a connector has to take the word that a port is offered no more.
	stopTime = 5 * time.Second
)

// follow keeps definitions as the store has them, until ctx ends.
func (r *Runtime) follow(ctx context.Context) error {
	changes := r.config.Bus.Subscribe(64,
		event.GatewayCreated, event.GatewayUpdated, event.GatewayDeleted,
		event.GatewayTokenCreated, event.GatewayTokenUpdated, event.GatewayTokenDeleted, event.GatewayTokenRotated)
	defer changes.Close()
	for told := false; ; {
		err := r.Refresh(ctx)
		wait := refreshEvery
		switch {
		case err == nil:
			told = false
		case ctx.Err() != nil:
			return nil
		default:
			wait = retryRefresh
			if !told {
				r.log.WarnContext(ctx, "private gateways cannot be read; those known last stay in force", "error", postern.AsError(err))
			}
			told = true
		}
		waiting, cancel := context.WithTimeout(ctx, wait)
		_, err = changes.Next(waiting) // what it says is read from the store
		cancel()
		if ctx.Err() != nil || errors.Is(err, event.ErrClosed) {
			return nil
		}
	}
}

// Refresh puts into force what the store has. On error what was known stays in force.
func (r *Runtime) Refresh(ctx context.Context) error {
	r.turn.Lock()
	defer r.turn.Unlock()
	gateways, tokens, err := r.config.Service.Gateways(ctx)
	if err != nil {
		return err
	}
	t, faults := newTable(gateways, tokens)
	for id, fault := range faults {
		r.log.ErrorContext(ctx, "the rules of a private gateway or token cannot be read; it admits nobody", "id", id, "error", fault)
	}
	r.apply(t)
	return nil
}

// apply puts definitions into force: who has what he may not have any more loses it.
func (r *Runtime) apply(t *table) {
	var after []func() // done without the lock
	r.mu.Lock()
	r.table.Store(t)
	for id, g := range r.gateways {
		was, now := g.definition.Load(), t.byID[id]
		switch {
		case now == nil:
			after = append(after, g.closeAll(postern.Errorf(postern.CodeGatewayUnknown, "the private gateway was deleted"))...)
			g.cancel(postern.Errorf(postern.CodeGatewayUnknown, "the private gateway was deleted"))
			g.meter.Release()
			delete(r.gateways, id)
		case was.moved(now):
			after = append(after, g.closeAll(postern.Errorf(postern.CodeLinkDraining, "the private gateway was changed; connect again"))...)
			g.definition.Store(now)
		default:
			g.definition.Store(now)
			for c := range g.connectors {
				after = append(after, c.obey(now)...)
			}
		}
	}
	r.mu.Unlock()
	for _, do := range after {
		do()
	}
	r.RecheckConsumers()
}

// closeAll takes everything of a gateway offline. mu is held; what is returned is to be
// done without it.
func (g *gateway) closeAll(why *postern.Error) (after []func()) {
	for c := range g.connectors {
		c.remove(0)
		after = append(after, func() { c.session.Close(why) })
	}
	for k, e := range g.endpoints {
		delete(g.endpoints, k)
		e.close()
		g.runtime.changed(e.change(EndpointDown, nil))
	}
	return after
}

// recheck looks whether a connector may have what it has.
func (r *Runtime) recheck(c *connector) {
	r.mu.Lock()
	after := c.obey(c.gateway.definition.Load())
	r.mu.Unlock()
	for _, do := range after {
		do()
	}
}

// obey takes from a connector what it may not have any more. mu is held; what is returned
// is to be done without it.
func (c *connector) obey(d *definition) (after []func()) {
	if c.gone {
		return nil
	}
	if !c.tokenIsGood(d) {
		why := postern.Errorf(postern.CodeGatewayTokenInvalid, "the connector's token is not one of the gateway's any more")
		c.log.Info("a connector's token was revoked or has expired")
		c.remove(0)
		return []func(){func() { c.session.Close(why) }}
	}
	for id, m := range c.members {
		why := c.mayOffer(d, m.endpoint.key, m.target)
		if why == nil {
			continue
		}
		c.log.Info("a connector may offer a port no more", "port", m.endpoint.key.String(), "target", m.target, "error", why)
		delete(c.members, id)
		m.endpoint.leave(m, 0)
		m.cancel(why)
		after = append(after, func() { c.tellStopped(id, why) })
	}
	select {
	case c.doubt <- struct{}{}: // its token may have another end
	default:
	}
	return after
}

// tellStopped tells the connector that a port of its is offered no more.
func (c *connector) tellStopped(id string, why *postern.Error) {
	c.runtime.mu.Lock()
	defer c.runtime.mu.Unlock()
	c.runtime.start(func() {
		ctx, cancel := context.WithTimeout(c.runtime.ctx, stopTime)
		defer cancel()
		if err := c.session.StopEndpoint(ctx, id, why); err != nil {
			c.log.Debug("a connector was not told that a port is offered no more", "error", err)
		}
	})
}
