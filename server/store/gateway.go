package store

import (
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
)

// Gateway is a private gateway: what is offered to it by connectors is reached at its own
// addresses.
type Gateway struct {
	Meta
	Name     postern.Hostname // unique in the account
	Path     string           // "sg_<uuid>": the last element of its address, unique
	Domain   postern.Hostname // its own, "" for none; unique
	Listen   []netip.Addr     // where its ports open; no other gateway has them
	Ports    []string         // rules about what may be offered, see allow.Ports; none: all that may be listened on
	Hold     time.Duration    // how long a port stays open without a connector, whole seconds
	Conflict string           // GatewayRefuse or GatewayPool
	Insecure bool             // tokens are taken over plain HTTP too

	// Consumers are the networks that may connect to Listen; none: all that reach it.
	Consumers []netip.Prefix
}

// What happens when a second connector offers a port with another target.
const (
	GatewayRefuse = "refuse"
	GatewayPool   = "pool"
)

// GatewayToken lets connectors of a gateway in.
type GatewayToken struct {
	Meta
	Gateway   string // its id
	Verifier  [32]byte
	Rotation  postern.Rotation
	Ports     []string  // rules about what its connectors may offer, see allow.Ports; none: all that the gateway may
	Targets   []string  // rules about what they may lead to, see allow.Targets; none: everything
	ExpiresAt time.Time // zero: never
}

// Expired tells whether its time is over.
func (t GatewayToken) Expired(at time.Time) bool {
	return !t.ExpiresAt.IsZero() && !at.Before(t.ExpiresAt)
}
