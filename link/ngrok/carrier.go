package ngrok

import (
	"context"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// carrier is the one connection of a session with an SDK.
type carrier struct {
	session *mux.Session
	conn    *ackConn
}

var _ sessionmsg.Carrier = (*carrier)(nil)

// oneFrame is what surely fits into the frame that opens a stream.
const oneFrame = 15 << 10

// Open starts a stream that opens itself again if the agent's queue was full. What
// does not fit into the first frame follows as a write, which survives a refusal
// too.
func (c *carrier) Open(ctx context.Context, streamType uint32, first ...[]byte) (link.Stream, error) {
	head := slices.Concat(first...)
	var rest []byte
	if len(head) > oneFrame {
		head, rest = head[:oneFrame:oneFrame], head[oneFrame:]
	}
	opened, err := c.session.Open(ctx, streamType, head)
	if err != nil {
		return nil, err
	}
	s := newStream(c.session, opened, streamType, head)
	if len(rest) == 0 {
		return s, nil
	}
	stop := context.AfterFunc(ctx, func() { s.Reset(&postern.Error{Code: postern.CodeStreamReset}) })
	defer stop()
	if _, err := s.Write(rest); err != nil {
		s.Reset(&postern.Error{Code: postern.CodeStreamReset})
		return nil, postern.AsError(err)
	}
	return s, nil
}

// Accept takes the agent's next request.
func (c *carrier) Accept(ctx context.Context) (uint32, link.Stream, error) {
	streamType, accepted, err := c.session.Accept(ctx)
	if err != nil {
		return 0, nil, err
	}
	return streamType, accepted, nil
}

// Ping measures a round trip with a heartbeat of ours.
func (c *carrier) Ping(ctx context.Context) (time.Duration, error) { return c.session.Ping(ctx) }

// Drain stops our own opens. The agent is not told: it would take a GOAWAY for
// the end.
func (c *carrier) Drain() { c.session.Drain() }

// Close ends the session.
func (c *carrier) Close(why *postern.Error) { c.session.Close(why) }

// Done is closed once the session has ended.
func (c *carrier) Done() <-chan struct{} { return c.session.Done() }

// AfterDone runs f once the session has ended; stop takes that back.
func (c *carrier) AfterDone(f func()) (stop func() bool) { return c.session.AfterDone(f) }

// Cause says why it ended.
func (c *carrier) Cause() *postern.Error { return c.session.Cause() }

// Streams counts the open streams.
func (c *carrier) Streams() int { return c.session.Streams() }
