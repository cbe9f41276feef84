package gateway

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
)

// Check tells what Join would refuse now. See link.Consumer.
func (r *Runtime) Check(ctx context.Context, who link.ConsumerIdentity, p link.GatewayPort) error {
	e, _, why := r.resolve(who, p)
	if why == nil && len(e.list()) == 0 {
		why = e.notOffered()
	}
	if why != nil {
		r.refused(ctx, who, p, why)
		return why
	}
	return nil
}

// Join connects a consumer's stream with a port of a gateway of his account, and blocks
// until both have ended. See link.Consumer. A UDP flow's datagrams travel as they come.
func (r *Runtime) Join(ctx context.Context, who link.ConsumerIdentity, p link.GatewayPort, st link.Stream, accepted func() error) error {
	e, allowed, why := r.await(ctx, who, p)
	if why != nil {
		r.refused(ctx, who, p, why)
		return why
	}
	from, _ := netip.ParseAddrPort(who.RemoteAddr)
	v, why := e.begin(e.gateway.ctx, Consumer{Addr: from, Session: who.Session, Account: who.Account, Credential: who.Credential}, allowed)
	if why != nil {
		return why
	}
	gone := context.AfterFunc(ctx, func() { v.stop(ended(ctx)) })
	defer gone()
	called := false
	why = v.join(st, func() error {
		called = true
		return accepted()
	})
	if why != nil {
		if called {
			relay.Abort(st, why)
		}
		return why
	}
	v.relayed(relay.Pipe(v.ctx, v.conn, v.relayable(), relay.Options{}))
	return nil
}

// ended says why a context has.
func ended(ctx context.Context) *postern.Error {
	if why, ok := errors.AsType[*postern.Error](context.Cause(ctx)); ok {
		return why
	}
	return postern.Errorf(postern.CodeStreamReset, "the connection was ended here").Because(context.Cause(ctx))
}

// refused writes down that a consumer got nothing.
func (r *Runtime) refused(ctx context.Context, who link.ConsumerIdentity, p link.GatewayPort, why *postern.Error) {
	r.metrics.refused(why.Code)
	r.log.InfoContext(ctx, "consumer refused", "gateway", clip(p.Gateway), "network", clip(string(p.Network)), "port", p.Port,
		"remote", who.RemoteAddr, "session", who.Session, "credential", who.Credential, "error", why)
}

// await is resolve, which asks again for a moment while connectors come back to a process
// that has just begun: consumers may be quicker.
func (r *Runtime) await(ctx context.Context, who link.ConsumerIdentity, p link.GatewayPort) (*endpoint, func() bool, *postern.Error) {
	for until := time.Now().Add(returnTime); ; rest(ctx, leaveLook) {
		e, allowed, why := r.resolve(who, p)
		if why == nil || why.Code != postern.CodeGatewayPortClosed || time.Since(r.began) > moveTime || time.Now().After(until) || ctx.Err() != nil {
			return e, allowed, why
		}
	}
}

// resolve finds the endpoint, for those who may have it. Whether a gateway exists is told
// only to those who may reach one of that name, or who know what cannot be guessed.
func (r *Runtime) resolve(who link.ConsumerIdentity, p link.GatewayPort) (*endpoint, func() bool, *postern.Error) {
	k, ok := keyOf(p.Network, p.Port)
	if !ok {
		return nil, nil, postern.Errorf(postern.CodeGatewayPortClosed, "a private gateway has ports from 1 to 65535 of TCP and UDP; %s:%d is none", clip(string(p.Network)), p.Port)
	}
	refusal := postern.Errorf(postern.CodeAccessDenied, "the credential may not reach port %s of gateway %s", k, clip(p.Gateway))
	d := r.table.Load().find(who.Account, p.Gateway)
	if d == nil {
		name, err := postern.ParseHostname(p.Gateway)
		if err == nil && !who.Allows(name, p.Port) {
			return nil, nil, refusal
		}
		return nil, nil, postern.Errorf(postern.CodeGatewayUnknown, "there is no private gateway %s", clip(p.Gateway))
	}
	id := d.ID
	allowed := func() bool {
		now := r.table.Load().byID[id] // it may have another name
		return now != nil && who.Allows(now.Name, k.port)
	}
	if !allowed() {
		return nil, nil, refusal
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if g := r.gateways[id]; g != nil && g.endpoints[k] != nil {
		return g.endpoints[k], allowed, nil
	}
	return nil, nil, postern.Errorf(postern.CodeGatewayPortClosed, "no connector offers port %s of gateway %s", k, d.Name)
}

// RecheckConsumers ends the connections of consumers that may not have them any more. It
// is to be called when what a credential may do has changed.
func (r *Runtime) RecheckConsumers() {
	r.mu.Lock()
	gateways := make([]*gateway, 0, len(r.gateways))
	for _, g := range r.gateways {
		gateways = append(gateways, g)
	}
	r.mu.Unlock()
	for _, g := range gateways {
		for _, v := range g.addresses.visits() {
			if !v.allowed() {
				v.stop(denied(v.endpoint))
			}
		}
	}
}
