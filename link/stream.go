package link

import (
	"context"
	"net"
	"net/netip"

	"github.com/postern-dev/postern"
)

// Stream is one visitor's connection (or one UDP flow: datagrams, each behind a
// 16-bit length) between the server and an agent.
//
// Read and Write may be used by one goroutine each at a time; every other method
// may be called at any time from anywhere. Deadlines work as on a TCP connection:
// a deadline that passes fails the pending call with os.ErrDeadlineExceeded and
// leaves the stream usable.
type Stream interface {
	net.Conn

	// CloseWrite ends our direction: the far side reads io.EOF after the last byte.
	// The other direction stays open.
	CloseWrite() error

	// Reset ends both directions abnormally and at once. The far side's Read and
	// Write fail with an error whose code is why's as far as the wire can carry it
	// (else CodeStreamReset), never with a clean io.EOF. Reset after Close, and a
	// second Reset, do nothing.
	Reset(why *postern.Error)
}

// Readable is implemented by streams that can tell whether Read would return at once:
// with bytes, the end or an error. Nothing is read for it, and it does not block. Only
// such streams are kept by the edge for one request after the other: of the others
// nobody would know whether something has come that was not asked for.
type Readable interface{ Readable() bool }

// Awaiter is implemented by streams that somebody can wait for without a goroutine. wake is
// called once and soon when Read would return at once: with bytes, the end or an error,
// that of Close included. false: it would now, and wake is not called. A later call
// replaces the wake of an earlier one. Deadlines wake nobody. wake must neither block nor
// use the stream; it may start a goroutine that does.
type Awaiter interface{ AwaitReadable(wake func()) bool }

// Pump is implemented by streams that have goroutines of their own for what they receive
// and send. These hand it on and fetch it themselves, so that nobody has to be woken for
// every piece.
type Pump interface {
	// Pour has take called with what comes, piece by piece and never two at a time, on
	// any goroutine. A piece belongs to take until it returns. Pour blocks until take
	// says no (nil) or Read would fail, with its error: at the read deadline, too. take is
	// not running when it returns. Nobody may Read meanwhile.
	Pour(take func(b []byte) bool) error

	// Draw has fill called for what is to be sent, never twice at a time, on any
	// goroutine. fill tells how much it has put into b; 0 ends Draw (nil). Else Draw
	// blocks until Write would fail, with its error: at the write deadline, too, but for
	// the time that fill takes. fill is not running when it returns. What was filled is
	// sent, unless the stream fails. Nobody may Write meanwhile.
	Draw(fill func(b []byte) int) error
}

// Header says what a stream is, before its first byte.
type Header struct {
	Endpoint       string         // the id under which the agent bound the endpoint
	ClientAddr     netip.AddrPort // the visitor
	Scheme         postern.Scheme // of the endpoint
	PassthroughTLS bool           // the stream's bytes are the visitor's TLS, undecrypted
}

// Opener opens streams towards an agent.
type Opener interface {
	// Open starts a stream and sends first (which may be empty, for protocols in
	// which the server speaks first) together with the header, without waiting for
	// an answer. It blocks while the session is at its stream limit, until ctx ends.
	// Errors are *postern.Error: CodeLinkDraining or CodeLinkLost when the session
	// can open no more (nothing was sent; another session may be tried),
	// CodeStreamLimit when ctx ended in the queue.
	//
	// The agent may refuse later: the stream's Read then fails with
	// CodeStreamRefused or CodeUpstreamUnreachable.
	Open(ctx context.Context, h Header, first []byte) (Stream, error)
}

// Acceptor receives streams at the agent.
type Acceptor interface {
	// Accept blocks for the next stream. After the session ended it returns the
	// reason, a *postern.Error.
	Accept(ctx context.Context) (Header, Stream, error)
}
