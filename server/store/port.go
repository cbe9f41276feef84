package store

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
)

// PortKey says which port: tcp and udp of one number are two ports.
type PortKey struct {
	Scheme postern.Scheme // postern.TCP or postern.UDP
	Port   uint16
}

// Port is a port that an account holds for a tcp or udp endpoint.
type Port struct {
	PortKey
	Account      postern.AccountID
	Credential   postern.CredentialID // who claimed it first
	Assigned     bool                 // the server chose it
	Endpoint     string               // the agent's name of the endpoint it was chosen for
	Installation string               // as a Name's
	CreatedAt    time.Time
	LastUsedAt   time.Time
}

// Ports are the reservations of ports.
type Ports interface {
	// Get fails with CodeNotFound.
	Get(ctx context.Context, port PortKey) (Port, error)

	// Claim works as Names.Claim does.
	Claim(ctx context.Context, p Port, since time.Time) (Port, error)

	// Held returns the reservations of a scheme from lo to hi, both included, used
	// since, by port.
	Held(ctx context.Context, scheme postern.Scheme, lo, hi uint16, since time.Time) ([]Port, error)

	// Keep works as Names.Keep does.
	Keep(ctx context.Context, port PortKey, installation string) error

	// Touch moves LastUsedAt forward to at; a port that nobody holds is no error.
	Touch(ctx context.Context, port PortKey, at time.Time) error

	// Expire deletes ports last used before the time and says how many.
	Expire(ctx context.Context, before time.Time) (int64, error)
}
