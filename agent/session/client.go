package session

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Client is one established session, as link/native makes them. All methods may be
// called from anywhere at any time.
type Client interface {
	link.Acceptor

	Bind(ctx context.Context, r link.BindRequest) (link.Bound, error)
	Unbind(ctx context.Context, id string) error
	Ping(ctx context.Context) (time.Duration, error)

	// Draining is closed when the server asks for a new session: streams that are
	// open live on, no new one will come over this one.
	Draining() <-chan struct{}

	Close(why *postern.Error)
	Done() <-chan struct{}
	Cause() *postern.Error
}

// Callbacks are what a server may ask of an agent outside of streams. Both may be
// called from any goroutine and must not block for long.
type Callbacks struct {
	Command         func(ctx context.Context, c link.Command) error
	EndpointStopped func(id string, why *postern.Error)
}

// Connect makes a session: it dials, secures and authenticates. Errors are
// *postern.Error. It must give up when ctx ends.
type Connect func(ctx context.Context, h link.Hello, c Callbacks) (Client, link.Welcome, error)
