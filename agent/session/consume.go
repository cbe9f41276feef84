package session

import (
	"context"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Consumer is implemented by Clients over whose session ports of private gateways can
// be reached, as native.Client's methods of these names do.
type Consumer interface {
	Dial(ctx context.Context, p link.GatewayPort) (link.Stream, error)
	DialEarly(ctx context.Context, p link.GatewayPort) (link.Stream, error)
	Check(ctx context.Context, p link.GatewayPort) error
}

// Dial opens a stream to a port of a private gateway over the session that there is, and
// waits for one, and for the server's answer, until ctx ends. The stream outlives ctx,
// but not its session. Errors are *postern.Error: why the server refuses, or why there
// is no session.
func (s *Supervisor) Dial(ctx context.Context, p link.GatewayPort) (link.Stream, error) {
	return s.dialled(ctx, func(c Consumer) (link.Stream, error) { return c.Dial(ctx, p) })
}

// DialEarly is Dial without waiting for the server's answer: where it refuses, the
// stream's Read and Write fail with the reason.
func (s *Supervisor) DialEarly(ctx context.Context, p link.GatewayPort) (link.Stream, error) {
	return s.dialled(ctx, func(c Consumer) (link.Stream, error) { return c.DialEarly(ctx, p) })
}

// Check tells what Dial would be refused with now, see link.Consumer.
func (s *Supervisor) Check(ctx context.Context, p link.GatewayPort) error {
	return s.consume(ctx, func(c Consumer) error { return c.Check(ctx, p) })
}

// dialled has the stream waited for when the agent ends.
func (s *Supervisor) dialled(ctx context.Context, dial func(Consumer) (link.Stream, error)) (link.Stream, error) {
	s.streams.Start()
	var st link.Stream
	err := s.consume(ctx, func(c Consumer) (err error) {
		st, err = dial(c)
		return err
	})
	if err != nil {
		s.streams.Finish()
		return nil, err
	}
	return &countedStream{Stream: st, finish: sync.OnceFunc(s.streams.Finish)}, nil
}

// consume asks one session after the other, as long as one can open nothing more and ctx
// lasts. Nothing was sent then.
func (s *Supervisor) consume(ctx context.Context, ask func(Consumer) error) error {
	var last *live
	for {
		l, err := s.await(ctx, last)
		if err != nil {
			return err
		}
		c, ok := l.client.(Consumer)
		if !ok {
			return postern.Errorf(postern.CodeServerTooOld, "private gateways cannot be reached over this link")
		}
		err = ask(c)
		if !postern.HasCode(err, postern.CodeLinkLost) && !postern.HasCode(err, postern.CodeLinkDraining) {
			return err
		}
		last = l
	}
}

// await gives the session that there is, other than last, which is of no more use.
func (s *Supervisor) await(ctx context.Context, last *live) (*live, error) {
	for {
		s.mu.Lock()
		l, reached := s.current, s.reached
		s.mu.Unlock()
		if l != nil && l != last {
			return l, nil
		}
		select {
		case <-reached:
		case <-s.over:
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.failure != nil {
				return nil, s.failure
			}
			return nil, postern.Errorf(postern.CodeLinkLost, "the agent has stopped")
		case <-ctx.Done():
			if why := s.Status().Why; why != nil {
				return nil, why
			}
			return nil, postern.Errorf(postern.CodeServerUnreachable, "there was no session with the server in time").Because(context.Cause(ctx))
		}
	}
}

// countedStream tells of its end.
type countedStream struct {
	link.Stream
	finish func()
}

// Close ends both directions.
func (c *countedStream) Close() error {
	defer c.finish()
	return c.Stream.Close()
}

// Reset ends both directions abnormally.
func (c *countedStream) Reset(why *postern.Error) {
	defer c.finish()
	c.Stream.Reset(why)
}

// Readable tells whether Read would return at once, where the link can tell.
func (c *countedStream) Readable() bool {
	below, ok := c.Stream.(link.Readable)
	return ok && below.Readable()
}

// Interface guards.
var (
	_ link.Stream   = (*countedStream)(nil)
	_ link.Readable = (*countedStream)(nil)
)
