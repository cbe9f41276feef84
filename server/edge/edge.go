package edge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/relay/flow"
)

// Edge serves visitors. Make one with New; its methods may be called from anywhere.
// Shutdown must be called in the end, also when nothing was served.
type Edge struct {
	config    Config
	logger    *slog.Logger
	live      atomic.Pointer[Live]
	admission *admission
	tls       tlsConfigs
	upstreams upstreams
	ports     ports
	flows     flow.Counters // of all udp endpoints
	metrics   *metrics

	ctx    context.Context // ends when what is left is to be cut
	cancel context.CancelFunc

	mu            sync.Mutex
	stopping      bool
	patient       atomic.Int64 // visitors who wait for an address to come back
	pressure      atomic.Int32
	agentGate     gate
	agents        run.InFlight // connections that are agents'
	retired       atomic.Bool  // another process accepts
	refusals      refusals
	restrictions  refusals    // of addresses
	uncertified   refusals    // of client certificates
	draining      atomic.Bool // like stopping, for those who must not wait for the lock
	listeners     map[net.Listener]struct{}
	visitors      map[*visitor]struct{}
	conversations map[*conversation]struct{}
	numbers       atomic.Uint64 // of visitors so far
	fronts        []*fronts     // the newest last; older ones serve the connections they have
	relays        sync.WaitGroup
	all           sync.WaitGroup // every goroutine of ours
}

// New makes an Edge that serves nothing yet.
func New(c Config) *Edge {
	c.Limits = c.Limits.orDefault()
	c.Timeouts = c.Timeouts.orDefault()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	e := &Edge{
		config:        c,
		logger:        c.Logger,
		listeners:     make(map[net.Listener]struct{}),
		visitors:      make(map[*visitor]struct{}),
		conversations: make(map[*conversation]struct{}),
	}
	e.metrics = newMetrics(c.Metrics, &e.flows)
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.admission = newAdmission()
	e.agentGate = newGate()
	e.tls = newTLSConfigs(c.Certificate)
	e.upstreams.edge = e
	e.ports.edge = e
	e.Reload(Live{Limits: c.Limits, Timeouts: c.Timeouts, TrustedProxies: c.TrustedProxies, AccessLog: c.AccessLog})
	return e
}

// Reload puts l in force: limits and trust for what comes from now on, timeouts for
// connections that come from now on. Connections that are open keep flowing. Subscribers
// are asked again what they need.
func (e *Edge) Reload(l Live) {
	l.Limits = l.Limits.orDefault()
	l.Timeouts = l.Timeouts.orDefault()
	l.subscribers = e.subscribers(&l)
	l.unrouted = newPlan(&l, nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	previous := e.live.Swap(&l)
	if e.stopping {
		return
	}
	if previous == nil || previous.Timeouts != l.Timeouts {
		e.fronts = append(e.fronts, e.newFronts(l.Timeouts))
	}
}

// subscribers are all that are told about requests.
func (e *Edge) subscribers(l *Live) []Subscriber {
	all := slices.Clone(e.config.Subscribers)
	all = append(all, &policies{e})
	if e.metrics != nil {
		all = append(all, e.metrics)
	}
	if l.AccessLog != nil {
		all = append(all, &accessLog{log: l.AccessLog})
	}
	return all
}

// front is the HTTP servers for new connections.
func (e *Edge) front() *fronts {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.fronts[len(e.fronts)-1]
}

// ServeHTTPS takes visitors and agents from ln, the shared TLS port, until ctx ends or
// Shutdown; both give nil. Any other end of ln is returned. It closes ln.
func (e *Edge) ServeHTTPS(ctx context.Context, ln net.Listener) error {
	return e.serve(ctx, ln, listener{name: "https", proxied: e.config.ProxyProtocol.HTTPS, handle: e.handleTLS})
}

// ServeHTTP takes plain HTTP visitors from ln, as ServeHTTPS does.
func (e *Edge) ServeHTTP(ctx context.Context, ln net.Listener) error {
	return e.serve(ctx, ln, listener{name: "http", proxied: e.config.ProxyProtocol.HTTP, handle: e.handlePlain})
}

// ServeAgents takes agents alone from ln, over TLS, as ServeHTTPS does: directly, or in a
// WebSocket.
func (e *Edge) ServeAgents(ctx context.Context, ln net.Listener) error {
	return e.serve(ctx, ln, listener{name: "agent", proxied: e.config.ProxyProtocol.Agents, handle: e.handleAgents})
}

// ServeSSH takes SSH clients alone from ln, as ServeHTTPS does.
func (e *Edge) ServeSSH(ctx context.Context, ln net.Listener) error {
	return e.serve(ctx, ln, listener{name: "ssh", proxied: e.config.ProxyProtocol.SSH, handle: e.handleSSH})
}

// track remembers a listener so that Shutdown closes it; false means too late.
func (e *Edge) track(ln net.Listener) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.listeners[ln] = struct{}{}
	return true
}

func (e *Edge) untrack(ln net.Listener) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.listeners, ln)
}

const (
	// lastWords is how long agents may take to end by themselves before they are cut: a
	// connection that is cut loses what its agent has not read yet, such as why.
	lastWords = time.Second
	// afterwards is how long Shutdown waits for goroutines whose connections it has cut.
	afterwards = 5 * time.Second
)

// Drain stops accepting, and lets requests and relayed connections finish until ctx ends,
// of which it then returns the error. HTTP/2 visitors get GOAWAY, idle connections are
// closed at once. Agents' connections go on, since requests in flight need them, and so do
// UDP flows, which have no end to wait for.
func (e *Edge) Drain(ctx context.Context) error {
	e.closeListeners(true)
	e.ports.closeAdopted()
	e.drainConversations()
	e.mu.Lock()
	fronts := e.fronts
	e.mu.Unlock()

	var drained sync.WaitGroup
	failures := make(chan error, len(fronts)+1)
	for _, f := range fronts {
		drained.Go(func() { failures <- f.drain(ctx) })
	}
	drained.Go(func() { failures <- waitFor(ctx, &e.relays) })
	drained.Wait()
	close(failures)
	var err error
	for failure := range failures {
		err = errors.Join(err, failure)
	}
	return errors.Join(err, drainInside(ctx, fronts))
}

// Shutdown is Drain, then ends what is left, agents included: their context ends, and who
// still is there a second later is cut. It returns ctx's error when something had to be cut
// that was somebody's request or relayed connection.
func (e *Edge) Shutdown(ctx context.Context) error {
	err := e.Drain(ctx)
	e.mu.Lock()
	fronts := e.fronts
	e.mu.Unlock()
	e.cut(fronts)
	return err
}

// closeListeners stops accepting; with stopping nothing new begins at all.
func (e *Edge) closeListeners(stopping bool) {
	e.mu.Lock()
	e.stopping = e.stopping || stopping
	closing := e.listeners
	e.listeners = make(map[net.Listener]struct{})
	e.mu.Unlock()
	for ln := range closing {
		_ = ln.Close()
	}
}

// cut ends everything that is left, agents included, and waits for our goroutines.
func (e *Edge) cut(all []*fronts) {
	e.cancel()
	leaving, stop := context.WithTimeout(context.Background(), lastWords)
	defer stop()
	e.agents.Wait(leaving)
	e.mu.Lock()
	left := make([]*visitor, 0, len(e.visitors))
	for v := range e.visitors {
		left = append(left, v)
	}
	e.mu.Unlock()
	for _, v := range left {
		v.abort(&postern.Error{Code: postern.CodeLinkDraining})
	}
	for _, f := range all {
		f.close()
	}
	e.upstreams.close()
	e.metrics.unregister()
	ctx, cancel := context.WithTimeout(context.Background(), afterwards)
	defer cancel()
	if waitFor(ctx, &e.all) != nil {
		e.logger.WarnContext(ctx, "goroutines outlive the edge")
	}
}

// waitFor waits until group is done or ctx ends.
func waitFor(ctx context.Context, group *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		group.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
