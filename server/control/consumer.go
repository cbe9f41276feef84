package control

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// consuming is one stream by which a session reaches a port of a private gateway.
type consuming struct {
	stream link.Stream

	mu    sync.Mutex
	asked bool // gateway and port are what the credential was last asked for
	name  postern.Hostname
	port  uint16
}

// note remembers what the stream needs of the credential's ACL.
func (c *consuming) note(gateway postern.Hostname, port uint16) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.name, c.port = true, gateway, port
}

// obey ends the stream if an ACL does not cover what it was let in for.
func (c *consuming) obey(acl postern.ACL) {
	c.mu.Lock()
	covered, name, port := !c.asked || acl.AllowsAccess(c.name.String(), c.port), c.name, c.port
	c.mu.Unlock()
	if !covered {
		c.stream.Reset(postern.Errorf(postern.CodeAccessDenied, "the credential may no longer reach port %d of %s", port, name))
	}
}

// Check implements link.Consumer.
func (s *session) Check(ctx context.Context, p link.GatewayPort) error {
	if s.control.config.Gateways == nil {
		return noGateways()
	}
	return s.control.config.Gateways.Check(s.context(ctx), s.identity(nil), p)
}

// Join implements link.Consumer: the credential is looked at anew for every stream, and
// streams end when it no longer covers them.
func (s *session) Join(ctx context.Context, p link.GatewayPort, st link.Stream, accepted func() error) error {
	if s.control.config.Gateways == nil {
		return noGateways()
	}
	c := &consuming{stream: st}
	s.mu.Lock()
	s.consumers[c] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.consumers, c)
		s.mu.Unlock()
	}()
	return s.control.config.Gateways.Join(s.context(ctx), s.identity(c), p, st, accepted)
}

// identity says who the session is. What is asked of its credential is noted in c, which
// may be nil.
func (s *session) identity(c *consuming) link.ConsumerIdentity {
	return link.ConsumerIdentity{
		Session:    s.info.ID,
		Account:    s.info.Account,
		Credential: s.info.Credential,
		RemoteAddr: s.info.RemoteAddr,
		Allows: func(gateway postern.Hostname, port uint16) bool {
			if c != nil {
				c.note(gateway, port) // before the look: a change in between ends the stream
			}
			return s.credential().ACL.AllowsAccess(gateway.String(), port)
		},
	}
}

// endUncovered ends the streams to gateways' ports that an ACL does not cover.
func (s *session) endUncovered(acl postern.ACL) {
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.consumers))
	s.mu.Unlock()
	for _, c := range all {
		c.obey(acl)
	}
}

func noGateways() error {
	return postern.Errorf(postern.CodeGatewayUnknown, "this server has no private gateways")
}

var _ link.Consumer = (*session)(nil)
