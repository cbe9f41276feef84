package link

import (
	"context"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
)

// Session is one agent's connection, as the server holds it. All methods may be
// called from anywhere at any time.
type Session interface {
	Opener

	// RemoteAddr is where the agent dialled from.
	RemoteAddr() netip.AddrPort

	// Transport names the wire: "ngrok/2", "postern/1".
	Transport() string

	// Ping measures one round trip to the agent's process. It fails with
	// CodeLinkLost when the session is dead or ctx ends first.
	Ping(ctx context.Context) (time.Duration, error)

	// Command asks the agent's process to do something and waits for its answer
	// until ctx ends. Errors carry CodeRestartUnsupported, CodeStopUnsupported or
	// CodeUpdateUnsupported with the agent's own reason, CodeCommandFailed, or
	// CodeCommandUnanswered.
	Command(ctx context.Context, c Command) error

	// StopEndpoint tells the agent that one endpoint, by its bind id, ended and why.
	// It does not wait for an answer.
	StopEndpoint(ctx context.Context, id string, why *postern.Error) error

	// Drain asks an agent that understands it to take its next streams over a new
	// session; for others it does nothing. Open fails with CodeLinkDraining from
	// now on. Streams that are open live on.
	Drain()

	// Close ends the session and every stream. why is told to the agent where the
	// wire can carry it. Only the first Close counts.
	Close(why *postern.Error)

	// Done is closed once the session has ended for whatever reason; Cause then says
	// why.
	Done() <-chan struct{}
	Cause() *postern.Error

	// Streams counts the streams that are open now.
	Streams() int
}

// Mover is implemented by sessions whose agent may be able to go over to a new
// session without a gap.
type Mover interface {
	// AskToMove asks the agent to make a new session, over which it binds what it has
	// bound here. Until this one is closed it still takes streams, and those that are
	// open live on. It tells whether the agent understands.
	AskToMove() bool
}

// Teller is implemented by sessions that people look at.
type Teller interface {
	// Tell shows a word that does not end the session. It does not wait for anybody to
	// read it.
	Tell(word *postern.Error)
}

// Command is something that an operator asks of an agent's process.
type Command struct {
	Action      Action
	Version     string // for Update: "" is the newest
	PermitMajor bool   // for Update: a new major version is welcome
}

// Action is what a Command asks for.
type Action string

// The actions.
const (
	Restart Action = "restart"
	Stop    Action = "stop"
	Update  Action = "update"
)

// Follower is implemented by Binders that want to know of every further connection of
// their session, before anything travels over it.
type Follower interface {
	// Follow refuses a connection that comes from remote, by the ServerNames of ctx.
	Follow(ctx context.Context, remote netip.AddrPort) error
}
