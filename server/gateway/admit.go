package gateway

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// Admit implements link.Registrar for connectors: h.Gateway is not nil. An unknown
// gateway and a wrong token are one to a stranger.
func (r *Runtime) Admit(ctx context.Context, s link.Session, h link.Hello) (link.Binder, link.Welcome, error) {
	if h.Gateway == nil {
		return nil, link.Welcome{}, postern.Errorf(postern.CodeTokenInvalid, "only connectors of private gateways are taken here")
	}
	c, why := r.admit(ctx, s, h)
	if why != nil {
		r.metrics.refused(why.Code)
		r.log.InfoContext(ctx, "connector refused", "gateway", h.Gateway.Gateway, "remote", s.RemoteAddr(), "transport", s.Transport(),
			"instance", h.Gateway.Instance, "user_agent", h.Agent.UserAgent, "error", why)
		return nil, link.Welcome{}, why
	}
	return c, link.Welcome{SessionID: postern.SessionID(c.id), ClientID: h.ClientID, Region: r.config.Region}, nil
}

// Throttled tells whether a stranger has failed so often that he is not heard.
func (r *Runtime) Throttled(addr netip.Addr, token postern.Secret) bool {
	return r.throttle.Admits(addr, guess(addr, token), r.live.Load().Limits.FailuresPerMinute) > 0
}

// guess is what the throttle is told of an attempt. One that comes without a token counts
// for its address alone: else strangers who send none would lock those out whose token
// comes later, as SSH's password.
func guess(addr netip.Addr, token postern.Secret) postern.Secret {
	if token == "" {
		return postern.Secret("none from " + addr.String())
	}
	return token
}

func (r *Runtime) admit(ctx context.Context, s link.Session, h link.Hello) (*connector, *postern.Error) {
	d, token, why := r.authenticate(s.RemoteAddr().Addr(), h)
	if why != nil {
		return nil, why
	}
	if err := r.config.Access.Foreign(d.Account, link.ServerNames(ctx)); err != nil {
		return nil, postern.AsError(err)
	}
	c := &connector{
		runtime: r, session: s, addr: s.RemoteAddr().String(), agent: h.Agent, instance: h.Gateway.Instance, id: "pgc_" + rand.Text(), since: time.Now(),
		tokenID: token.ID, sum: secretOf(h.Token), doubt: make(chan struct{}, 1), members: make(map[string]*member),
	}
	c.log = r.log.With(slog.String("gateway", d.ID), slog.String("connector", c.id), slog.String("remote", c.addr))
	ghosts, why := r.enlist(c, d)
	if why != nil {
		return nil, why
	}
	for _, ghost := range ghosts {
		ghost.session.Close(postern.Errorf(postern.CodeLinkLost, "the connector has come back on another connection; this one is replaced"))
	}
	c.log.Info("connector connected", "name", d.Name.String(), "token", token.ID, "instance", c.instance, "transport", s.Transport(),
		"version", h.Agent.Version, "user_agent", h.Agent.UserAgent, "replaces", len(ghosts))
	r.changed(c.change(ConnectorConnected, d))
	return c, nil
}

// authenticate finds the token of a connector. The work is the same whether there is
// such a gateway or not.
func (r *Runtime) authenticate(addr netip.Addr, h link.Hello) (*definition, *token, *postern.Error) {
	perAddress := r.live.Load().Limits.FailuresPerMinute
	if r.throttle.Admits(addr, guess(addr, h.Token), perAddress) > 0 {
		return nil, nil, postern.Errorf(postern.CodeTooManyFailures, "too many failed attempts to authenticate from %s; wait a minute", addr)
	}
	t := r.table.Load()
	d, gateway := t.byPath[h.Gateway.Gateway], ""
	if d != nil {
		gateway = d.ID
	}
	row, err := service.AdmitGatewayToken(h.Token, gateway, time.Now(), func(id string) (store.GatewayToken, bool) {
		row, known := t.tokens[id]
		return row, known
	})
	good := err == nil && d != nil
	if !good {
		r.throttle.Failed(addr, guess(addr, h.Token), perAddress)
	}
	if h.Gateway.Plain && (d == nil || !d.Insecure) {
		if good {
			r.log.Warn("a gateway's token was sent over plain HTTP, where it could be read: replace it", "gateway", d.ID, "token", row.ID, "remote", addr)
		}
		return nil, nil, postern.Errorf(postern.CodeGatewayPlain, "the token came over plain HTTP and is refused; use the gateway's https address, and replace the token, which could be read on the way")
	}
	if !good {
		return nil, nil, postern.Errorf(postern.CodeGatewayTokenInvalid, "the token is not one of the gateway's")
	}
	r.throttle.Succeeded(h.Token)
	return d, d.tokens[row.ID], nil
}

// enlist makes a connector known. ghosts are those whose place it takes: they have lost
// their ports already, and are to be closed.
func (r *Runtime) enlist(c *connector, d *definition) (ghosts []*connector, why *postern.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// What was changed since the token was looked at, holds.
	now := r.table.Load().byID[d.ID]
	switch {
	case r.closed || r.retired:
		return nil, postern.Errorf(postern.CodeLinkDraining, "the server is stopping; connect again")
	case now == nil || !c.tokenIsGood(now):
		return nil, postern.Errorf(postern.CodeGatewayTokenInvalid, "the token is not one of the gateway's")
	}
	g := r.gateway(now)
	c.gateway = g
	for other := range g.connectors {
		if c.instance != "" && other.instance == c.instance && other.tokenID == c.tokenID {
			ghosts = append(ghosts, other)
		}
	}
	if most := r.live.Load().Limits.Connectors; len(g.connectors)-len(ghosts) >= most {
		return nil, postern.Errorf(postern.CodeSessionLimit, "the gateway has %d connectors, as many as it may have", most)
	}
	for _, ghost := range ghosts {
		ghost.remove(returnTime)
	}
	g.connectors[c] = struct{}{}
	r.start(c.watch)
	return ghosts, nil
}
