package linktest

import (
	"context"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Joined is a stream that a session has opened to a port of a gateway. Whoever takes it
// is the service, and closes it.
type Joined struct {
	link.Stream
	Port link.GatewayPort

	ending sync.Once
	ended  chan struct{}
}

// Close ends both directions.
func (j *Joined) Close() error {
	err := j.Stream.Close()
	j.ending.Do(func() { close(j.ended) })
	return err
}

// Reset ends both directions abnormally.
func (j *Joined) Reset(why *postern.Error) {
	j.Stream.Reset(why)
	j.ending.Do(func() { close(j.ended) })
}

// Refuse has ports refused from now on for which f gives an error.
func (a *Admitted) Refuse(f func(link.GatewayPort) error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuses = f
}

// Check implements link.Consumer.
func (a *Admitted) Check(_ context.Context, p link.GatewayPort) error {
	a.mu.Lock()
	refuses := a.refuses
	a.mu.Unlock()
	if refuses == nil {
		return nil
	}
	return refuses(p)
}

// Join implements link.Consumer: NextJoined gives the stream to the test.
func (a *Admitted) Join(ctx context.Context, p link.GatewayPort, st link.Stream, accepted func() error) error {
	if err := a.Check(ctx, p); err != nil {
		return err
	}
	if err := accepted(); err != nil {
		st.Reset(postern.AsError(err))
		return err
	}
	j := &Joined{Stream: st, Port: p, ended: make(chan struct{})}
	select {
	case a.joined <- j:
	case <-ctx.Done():
	}
	select {
	case <-j.ended:
	case <-ctx.Done():
		j.Reset(postern.Errorf(postern.CodeLinkLost, "the session has ended"))
	}
	return nil
}

// NextJoined gives the next stream that Join has taken.
func (a *Admitted) NextJoined(ctx context.Context) (*Joined, error) {
	select {
	case j := <-a.joined:
		return j, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

var _ link.Consumer = (*Admitted)(nil)
