package gateway

import (
	"context"
	"crypto/rand"
	"net"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/store"
)

// mostTarget bounds what a connector says of where it leads: a name of 253 characters,
// and a port.
const mostTarget = 260

// Bind implements link.Binder: it offers a port of the gateway. ForwardsTo is the target.
// Errors are CodeGatewayPortRefused, CodeGatewayPortConflict, CodeGatewayAddressInUse,
// CodeEndpointLimit or CodeOptionUnsupported.
func (c *connector) Bind(ctx context.Context, q link.BindRequest) (link.Bound, error) {
	k, ok := keyOf(q.URL.Scheme, q.URL.Port)
	if !ok {
		return link.Bound{}, postern.Errorf(postern.CodeGatewayPortRefused, "a private gateway has ports from 1 to 65535 of TCP and UDP; %s:%d is none", q.URL.Scheme, q.URL.Port)
	}
	if len(q.Unsupported) > 0 {
		return link.Bound{}, postern.Errorf(postern.CodeOptionUnsupported, "a private gateway has no %s", q.Unsupported[0])
	}
	c.binding.Lock()
	defer c.binding.Unlock()
	m := &member{connector: c, id: q.ID, target: q.ForwardsTo}
	if m.id == "" {
		m.id = rand.Text()
	}
	rivals, err := c.bind(k, m)
	if len(rivals) > 0 { // some may be ghosts
		for _, rival := range rivals {
			if rival.connector.silent(ctx) {
				rival.connector.end(postern.Errorf(postern.CodeLinkLost, "the connector did not answer when another one offered its port"))
			}
		}
		_, err = c.bind(k, m)
	}
	if err != nil {
		c.runtime.metrics.refused(err.Code)
		c.log.Info("a port was refused to a connector", "port", k.String(), "target", m.target, "error", err)
		return link.Bound{}, err
	}
	c.log.Info("a connector offers a port", "port", k.String(), "target", m.target)
	host := c.gateway.definition.Load().Name
	return link.Bound{
		ID: m.id, EndpointID: postern.EndpointID(m.id),
		URL:       postern.URL{Scheme: k.scheme(), Host: host, Port: k.port},
		PublicURL: k.network + "://" + net.JoinHostPort(host.String(), strconv.Itoa(int(k.port))),
	}, nil
}

// bind makes m a member of a port's endpoint. rivals are those who are in the way.
func (c *connector) bind(k key, m *member) (rivals []*member, why *postern.Error) {
	r := c.runtime
	r.mu.Lock()
	defer r.mu.Unlock()
	g, d := c.gateway, c.gateway.definition.Load()
	if c.gone || r.closed {
		return nil, left()
	}
	if r.retired {
		return nil, postern.Errorf(postern.CodeLinkDraining, "another process of the server has taken over; connect again")
	}
	if why := c.mayOffer(d, k, m.target); why != nil {
		return nil, why
	}
	if c.members[m.id] != nil {
		return nil, postern.Errorf(postern.CodeGatewayPortConflict, "the id of the remote for port %s is used by another one", k)
	}
	for _, other := range c.members {
		if other.endpoint.key == k {
			return nil, postern.Errorf(postern.CodeGatewayPortConflict, "port %s is offered twice by one connector", k)
		}
	}
	if most := r.live.Load().Limits.Endpoints; len(c.members) >= most {
		return nil, postern.Errorf(postern.CodeEndpointLimit, "the connector offers %d ports, as many as one may", most)
	}
	e := g.endpoints[k]
	if e != nil && d.Conflict != store.GatewayPool {
		if rivals := e.others(m.target); len(rivals) > 0 {
			return rivals, conflict(k, rivals[0])
		}
	}
	if e == nil {
		if e, why = g.open(d, k); why != nil {
			return nil, why
		}
	}
	m.endpoint = e
	c.members[m.id] = m
	e.join(m)
	return nil, nil
}

// conflict names who has a port.
func conflict(k key, first *member) *postern.Error {
	by := first.connector
	name := by.session.RemoteAddr().Addr().String()
	if by.instance != "" {
		name += " (instance " + clip(by.instance) + ")"
	}
	return postern.Errorf(postern.CodeGatewayPortConflict, "port %s is offered by the connector at %s for %s already", k, name, clip(first.target))
}

// mayOffer tells why a connector may not offer a port and target, nil if it may.
func (c *connector) mayOffer(d *definition, k key, target string) *postern.Error {
	token := d.tokens[c.tokenID]
	host, port, ok := splitTarget(target)
	switch {
	case token == nil:
		return postern.Errorf(postern.CodeGatewayTokenInvalid, "the token is not one of the gateway's")
	case !ok:
		return postern.Errorf(postern.CodeGatewayPortRefused, "the target %q of port %s is not HOST:PORT", clip(target), k)
	case !d.ports.Allows(k.network, k.port):
		return postern.Errorf(postern.CodeGatewayPortRefused, "the gateway has no port %s", k)
	case !token.ports.Allows(k.network, k.port):
		return postern.Errorf(postern.CodeGatewayPortRefused, "the token may not offer port %s", k)
	case !token.targets.Allows(host, port):
		return postern.Errorf(postern.CodeGatewayPortRefused, "the token may not offer the target %s", clip(target))
	}
	for _, addr := range d.Listen {
		if !c.runtime.live.Load().Places.Allows(addr, k.port) {
			return postern.Errorf(postern.CodeGatewayPortRefused, "the server's gateways.listen_allow does not let gateways listen on port %d of %s", k.port, addr)
		}
	}
	return nil
}

// splitTarget reads a target.
func splitTarget(target string) (host string, port uint16, ok bool) {
	if len(target) > mostTarget {
		return "", 0, false
	}
	host, text, err := net.SplitHostPort(target)
	if err != nil || host == "" {
		return "", 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, uint16(n), err == nil && n > 0
}

// clip makes what somebody said fit for a message that others read on their terminals.
func clip(text string) string {
	const most = 80
	more := ""
	if len(text) > most {
		text, more = text[:most], "…"
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text) + more
}

// Unbind implements link.Binder. Connections that are open live on.
func (c *connector) Unbind(_ context.Context, id string) error {
	c.runtime.mu.Lock()
	defer c.runtime.mu.Unlock()
	m := c.members[id]
	if m == nil {
		return nil
	}
	delete(c.members, id)
	m.endpoint.leave(m, 0)
	c.log.Info("a connector no longer offers a port", "port", m.endpoint.key.String(), "target", m.target)
	return nil
}
