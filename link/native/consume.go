package native

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// extensionDial: the agent may open streams to ports of private gateways.
const extensionDial = "dial"

// Limits of both ends where the extension is in force. The agent opens fewer streams
// than the server accepts: some of those that it has closed still count there.
const (
	mostDialled  = 2048
	mostAccepted = 2 * mostDialled
)

// consuming raises how many streams a peer may open.
func consuming(l mux.Limits) mux.Limits {
	l.PeerStreams += mostAccepted
	return l
}

// Dial opens a stream to a port of a private gateway and waits until a connector has
// taken it, or ctx ends. The stream of a UDP port carries datagrams, see package
// relay/flow. Errors are *postern.Error: CodeServerTooOld where the server has no such
// streams; CodeLinkDraining and CodeLinkLost when the session can open no more (nothing
// was sent; another session may be tried); CodeStreamLimit when ctx ended in the queue;
// or why the server refuses.
func (c *Client) Dial(ctx context.Context, p link.GatewayPort) (link.Stream, error) {
	return c.await(ctx, p, false)
}

// DialEarly is Dial without waiting for the answer: what is written follows the question
// at once. Where the server refuses, Read and Write fail with its reason.
func (c *Client) DialEarly(ctx context.Context, p link.GatewayPort) (link.Stream, error) {
	st, err := c.openDialled(ctx, sessionmsg.NewDial(p, false))
	if err != nil {
		return nil, err
	}
	return st, nil
}

// Check tells what Dial would fail with now, see link.Consumer.
func (c *Client) Check(ctx context.Context, p link.GatewayPort) error {
	st, err := c.await(ctx, p, true)
	if err == nil {
		_ = st.Close()
	}
	return err
}

func (c *Client) await(ctx context.Context, p link.GatewayPort, check bool) (link.Stream, error) {
	st, err := c.openDialled(ctx, sessionmsg.NewDial(p, check))
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { st.Reset(&postern.Error{Code: postern.CodeStreamReset}) })
	err = st.readAnswer()
	if !stop() && err == nil {
		err = ctx.Err() // and the stream is reset
	}
	switch {
	case err == nil:
		return st, nil
	case ctx.Err() != nil:
		err = postern.Errorf(postern.CodeRequestTimeout, "no connector of %s took the connection to port %d in time", p.Gateway, p.Port).Because(context.Cause(ctx))
	}
	st.Reset(&postern.Error{Code: postern.CodeStreamReset})
	_ = st.Close()
	return nil, postern.AsError(err)
}

func (c *Client) openDialled(ctx context.Context, d sessionmsg.Dial) (*dialled, error) {
	if !c.dials {
		return nil, postern.Errorf(postern.CodeServerTooOld, "the server is too old to reach private gateways for an agent")
	}
	head, err := sessionmsg.EncodeHead(d)
	if err != nil {
		return nil, err
	}
	st, err := c.open(ctx, sessionmsg.TypeDial, head)
	if err != nil {
		return nil, err
	}
	return &dialled{Stream: st}, nil
}

// dialled is a stream to a gateway's port. Before the first byte comes the answer.
type dialled struct {
	link.Stream
	head     sessionmsg.Head // of the answer; the reader's
	answered atomic.Bool
}

// Readable tells whether Read would return at once. Until somebody has read the answer
// it is false.
func (d *dialled) Readable() bool {
	below, ok := d.Stream.(link.Readable)
	return ok && d.answered.Load() && below.Readable()
}

// Read reads what the service sends. Where the server has refused, the error is why.
func (d *dialled) Read(p []byte) (int, error) {
	if err := d.readAnswer(); err != nil {
		return 0, err
	}
	return d.Stream.Read(p)
}

func (d *dialled) readAnswer() error {
	if d.answered.Load() {
		return nil
	}
	var answer sessionmsg.DialResp
	if err := d.head.Read(d.Stream, &answer); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return postern.Errorf(postern.CodeStreamReset, "the server ended the stream without an answer").Because(err)
		}
		return err
	}
	d.answered.Store(true)
	return nil
}

var (
	_ link.Stream   = (*dialled)(nil)
	_ link.Readable = (*dialled)(nil)
)

// acceptDialled gives a stream that the agent has opened the form of its type, or
// refuses it.
func (s *server) acceptDialled(st *mux.Stream) (link.Stream, bool) {
	if !s.dials.Load() {
		st.Reset(postern.Errorf(postern.CodeProtocolViolation, "the agent has not offered %q", extensionDial))
		return nil, false
	}
	return s.wrap(st), true
}
