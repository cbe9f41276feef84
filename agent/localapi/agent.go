package localapi

import (
	"context"
	"net"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// Agent is what the API asks of an agent. Errors are *postern.Error.
type Agent interface {
	// Start takes an endpoint online and waits for the server's answer. Where it fails
	// the name is free. CodeNotReady: there is no session; CodeConflict: the name is in
	// use; CodeConfigInvalid, CodeFlagInvalid, CodeUpstreamAddressInvalid and
	// CodeFileUnreadable, CodeMaterialInvalid and CodePassphraseNeeded: the endpoint cannot
	// be; any other is the server's.
	Start(ctx context.Context, e config.Endpoint) error
	// Stop takes the URL of a label offline; the others of its endpoint stay.
	Stop(ctx context.Context, label string) error
	// Remove takes an endpoint offline with all its URLs.
	Remove(ctx context.Context, name string) error
	// Tunnels is a snapshot, in the order in which endpoints were added.
	Tunnels() []Tunnel
	Status() Status
	// Open connects to the service behind a label, for one HTTP/1.1 request.
	Open(ctx context.Context, label string) (net.Conn, error)
	// Watch has changed called, which does not block, whenever Tunnels or Status differ
	// from before, until stop is called.
	Watch(changed func()) (stop func())
}

// Tunnel is one URL of an endpoint.
type Tunnel struct {
	Name   string // of the endpoint
	Label  string // unique: Name, or "NAME (http)" for a twin
	ID     string // 32 hexadecimal digits
	URL    string // "" before it was first online
	Scheme postern.Scheme
	Addr   string // of the service, in the form that is shown
	Config config.Endpoint
}

// Status is how the agent is.
type Status struct {
	State   string // connecting, online, reconnecting, …
	Region  string
	Latency time.Duration // 0: not known yet
	Problem string        // what keeps it from being online
}
