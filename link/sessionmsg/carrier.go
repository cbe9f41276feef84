package sessionmsg

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Carrier is what a Session needs of the multiplexed connection below it. Each
// wire adapter brings its own; all methods may be called concurrently.
type Carrier interface {
	// Open starts a stream of the type and sends first with it, in one frame,
	// without waiting for an answer. Errors are those of link.Opener.
	Open(ctx context.Context, streamType uint32, first ...[]byte) (link.Stream, error)

	// Accept blocks for the peer's next stream, whose type has been read. The
	// peer's heartbeats are answered below and never come up here.
	Accept(ctx context.Context) (streamType uint32, stream link.Stream, err error)

	Ping(ctx context.Context) (time.Duration, error)

	// Drain makes Open fail with CodeLinkDraining from now on, and tells the peer
	// where the wire can.
	Drain()

	// Close ends every stream and the connection; only the first call counts.
	Close(why *postern.Error)
	Done() <-chan struct{}
	Cause() *postern.Error

	// Streams counts the open streams.
	Streams() int
}

// Dialect is in what the wires differ above their carriers.
type Dialect struct {
	Transport string // link.Session's Transport
	// Request reads a Bind, Reply answers it.
	Request func(*Bind) (link.BindRequest, error)
	Reply   func(*Bind, link.Bound) (BindResp, error)
	// Dials has the agent's streams of TypeDial joined with private gateways. The carrier
	// bounds their number, and refuses them where the agent may not use them.
	Dials bool
	// Certifies has the agent's requests for certificates answered.
	Certifies bool
	// Admitted is called once, after the Registrar said yes and before the agent
	// hears of it: the place to lift the limits of strangers. It returns what of
	// the agent's offered extensions is in force, nil for none.
	Admitted func(a *Auth, h link.Hello) *Extensions
}
