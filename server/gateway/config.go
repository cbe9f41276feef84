package gateway

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// Config is what a Runtime is made of. Service and Bus must be given; the zero value of
// everything else is a default.
type Config struct {
	Service Service
	// Bus tells when the gateways have to be read again.
	Bus *event.Bus

	Region string
	// Domain is what gateway.<Domain> is below.
	Domain postern.Hostname
	// HTTPS is the public port of addresses; 0 is none: nobody is sent there.
	HTTPS uint16
	// HostKey is what connectors that speak SSH are shown.
	HostKey ssh.Signer
	// Access has the agent ingresses, by which no connector of another account may come;
	// nil: there are none.
	Access *access.Current
	// Sockets opens ports; nil: those of this machine.
	Sockets Sockets

	Live Live
	// Busy tells whether there is no memory for further connections; nil: there is.
	Busy func() bool
	// Meters has the limits of accounts; nil: none.
	Meters *quota.Meters
	// Audit is told about every connection that has ended, and every one that was
	// refused; nil: nobody. It must not block.
	Audit func(Record)
	// Changed is told about connectors and endpoints that come and go; nil: nobody. It
	// must not block.
	Changed func(Change)

	Metrics prometheus.Registerer // nil is off
	Logger  *slog.Logger          // nil discards
}

// Service is what a Runtime needs of the use cases.
type Service interface {
	// Gateways returns the private gateways of all accounts, and all tokens of theirs.
	Gateways(ctx context.Context) ([]store.Gateway, []store.GatewayToken, error)
}

var _ Service = (*service.Service)(nil)

// Live is the part of a Config that may change while connections flow.
type Live struct {
	AccessLog *slog.Logger // one line a connection; nil is off
	Places    allow.Listen // where gateways may listen; none: nowhere
	Limits    Limits
	// ProbeEvery is how long an endpoint may be without traffic before a probe is sent to
	// its target; 0: none is.
	ProbeEvery time.Duration
}

// Limits bound what can be taken. 0 is the default.
type Limits struct {
	Connections           int // of consumers to one gateway at once; 20 000
	ConnectionsPerAddress int // of those, from one address that is not this machine's; 2000
	Connectors            int // of one gateway at once; 256
	Endpoints             int // that one connector offers; 1024
	FailuresPerMinute     int // wrong tokens from one address; 10
}

func (l Limits) orDefault() Limits {
	l.Connections = either(l.Connections, 20_000)
	l.ConnectionsPerAddress = either(l.ConnectionsPerAddress, 2000)
	l.Connectors = either(l.Connectors, 256)
	l.Endpoints = either(l.Endpoints, 1024)
	l.FailuresPerMinute = either(l.FailuresPerMinute, 10)
	return l
}

// either gives value, or fallback where value is not set.
func either[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
