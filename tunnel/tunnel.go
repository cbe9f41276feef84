package tunnel

import (
	"context"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
)

// tunnel is an endpoint that is online: what Listener and Forwarder share.
type tunnel struct {
	agent *agent.Agent
	url   string
	done  chan struct{} // closed when the agent has ended

	closing sync.Once
	closed  chan struct{} // closed by Close, or when the server ended the endpoint

	mu  sync.Mutex
	why error
}

// open brings an endpoint online. It returns once visitors can come, or ctx ends.
func open(ctx context.Context, o *Options, e agent.Endpoint) (*tunnel, error) {
	t := &tunnel{done: make(chan struct{}), closed: make(chan struct{})}
	online := make(chan string, 1)
	events := agent.Events{
		Online: func(o agent.Online) {
			select {
			case online <- o.URL:
			default: // back after an interruption, at the same URL
			}
		},
		Stopped: func(_ string, why *postern.Error) { t.end(why) },
	}
	var err error
	if t.agent, err = agent.New(o.agent(e, events)); err != nil {
		return nil, err
	}
	go t.run()
	select {
	case t.url = <-online:
		return t, nil
	case <-t.done:
		return nil, t.cause()
	case <-ctx.Done():
		err := t.notOnline(ctx)
		t.end(err)
		<-t.done
		return nil, err
	}
}

// run serves until the tunnel is closed. It is the tunnel's only goroutine beside
// those of the session.
func (t *tunnel) run() {
	defer close(t.done)
	// The context of Listen or Forward bounds the start only, like a dial's.
	if err := t.agent.Run(context.Background()); err != nil {
		t.end(err)
		return
	}
	t.end(nil)
}

// end stops the agent. The first reason counts.
func (t *tunnel) end(why error) {
	t.closing.Do(func() {
		t.mu.Lock()
		t.why = why
		t.mu.Unlock()
		close(t.closed)
		t.agent.Stop()
	})
}

func (t *tunnel) cause() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.why
}

// notOnline says what kept the endpoint from coming online in time.
func (t *tunnel) notOnline(ctx context.Context) error {
	if why := t.agent.Status().Why; why != nil {
		return why
	}
	return postern.Errorf(postern.CodeServerUnreachable, "the endpoint did not come online in time").Because(context.Cause(ctx))
}

// URL is the public URL, as visitors type it.
func (t *tunnel) URL() string { return t.url }

// Close takes the endpoint offline and returns at once. Connections that are open
// live on until they end by themselves, for Options.Drain at most. It may be called
// more than once.
func (t *tunnel) Close() error {
	t.end(nil)
	return nil
}

// Done is closed when everything has ended: the endpoint is offline and no
// connection is left.
func (t *tunnel) Done() <-chan struct{} { return t.done }
