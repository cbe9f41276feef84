package connector

import (
	"cmp"
	"context"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/link"
)

const (
	// bindPatience bounds the wait for a gateway's word about one remote.
	bindPatience = 30 * time.Second
	// nativePatience bounds one attempt at the native link, all its ways together.
	nativePatience = 15 * time.Second
)

// nameOf is under which name, and port, a gateway has its certificate: --hostname, or
// the address's.
func (r *route) nameOf(at address) string {
	name, port := splitPort(r.gateway.host())
	if name == "" {
		return at.hostPort()
	}
	return net.JoinHostPort(name, cmp.Or(port, at.url.Port()))
}

// connectNative makes a connection over our own link, to the host and port of the address.
func (r *route) connectNative(ctx context.Context, at address) (wire, time.Duration, error) {
	if r.native == nil || r.native.Server != r.nameOf(at) || r.native.Address != at.hostPort() {
		r.native = &session.Dialer{ // it remembers which way gets through
			Server: r.nameOf(at), Address: at.hostPort(), Roots: r.roots, UserAgent: r.userAgent, Net: r.net, Patience: nativePatience, Logger: r.logger,
		}
	}
	hello := r.hello
	hello.Token = r.gateway.Token
	hello.Gateway = &link.GatewayHello{Gateway: at.gateway(), Instance: r.instance}
	w := &nativeWire{keys: map[string]Key{}, answered: make(chan struct{}), tell: r.stopped}
	client, _, err := r.native.Connect(ctx, hello, session.Callbacks{EndpointStopped: w.stopped})
	if err != nil {
		return nil, 0, err
	}
	w.client = client
	latency, err := client.Ping(ctx)
	if err != nil {
		client.Close(postern.AsError(err))
		return nil, 0, err
	}
	return w, latency, nil
}

// nativeWire is a session of link/native whose endpoints are remotes.
type nativeWire struct {
	client session.Client
	tell   func(w wire, k Key, why *postern.Error) // that the gateway took a remote offline

	mu       sync.Mutex
	keys     map[string]Key // by bind id
	asking   int            // binds without an answer
	answered chan struct{}  // closed and made anew at every answer
}

// Accept implements wire. Streams for what is not bound are refused here.
func (w *nativeWire) Accept(ctx context.Context) (Key, link.Header, link.Stream, error) {
	header, stream, err := w.client.Accept(ctx)
	if err != nil {
		return Key{}, header, nil, err
	}
	return w.find(ctx, header.Endpoint), header, stream, nil
}

// find looks a remote up by its bind id. A stream can overtake the answer to the bind
// that it belongs to, so an unknown id is waited for while binds are out. The zero Key is
// no remote.
func (w *nativeWire) find(ctx context.Context, id string) Key {
	if key, waiting, _ := w.look(id); !waiting || key != (Key{}) {
		return key
	}
	patience := time.NewTimer(bindPatience)
	defer patience.Stop()
	for {
		key, waiting, answered := w.look(id)
		if !waiting || key != (Key{}) {
			return key
		}
		select {
		case <-answered:
		case <-patience.C:
			return Key{}
		case <-w.client.Done():
			return Key{}
		case <-ctx.Done():
			return Key{}
		}
	}
}

// look looks a remote up, and tells whether its bind may be among those without an answer.
func (w *nativeWire) look(id string) (key Key, waiting bool, answered <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.keys[id], w.asking > 0, w.answered
}

// Offer implements wire.
func (w *nativeWire) Offer(ctx context.Context, r Remote) error {
	ctx, cancel := context.WithTimeout(ctx, bindPatience)
	defer cancel()
	w.mu.Lock()
	w.asking++
	w.mu.Unlock()
	bound, err := w.client.Bind(ctx, link.BindRequest{
		URL:  postern.URLRequest{Scheme: postern.Scheme(r.Network), Port: r.Port},
		Name: r.Key.String(), ForwardsTo: r.Target(),
	})
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asking--
	if err == nil {
		w.keys[bound.ID] = r.Key
	}
	close(w.answered)
	w.answered = make(chan struct{})
	return err
}

// Withdraw implements wire.
func (w *nativeWire) Withdraw(ctx context.Context, k Key) error {
	ctx, cancel := context.WithTimeout(ctx, bindPatience)
	defer cancel()
	id := w.forget(k)
	if id == "" {
		return nil
	}
	return w.client.Unbind(ctx, id)
}

func (w *nativeWire) forget(k Key) (id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id, key := range maps.All(w.keys) {
		if key == k {
			delete(w.keys, id)
			return id
		}
	}
	return ""
}

// stopped is the gateway's word that it took a remote offline.
func (w *nativeWire) stopped(id string, why *postern.Error) {
	w.mu.Lock()
	key, found := w.keys[id]
	delete(w.keys, id)
	w.mu.Unlock()
	if found && w.tell != nil {
		w.tell(w, key, why)
	}
}

// Fixed implements wire: remotes come and go.
func (w *nativeWire) Fixed() bool { return false }

// Ping implements wire.
func (w *nativeWire) Ping(ctx context.Context) (time.Duration, error) { return w.client.Ping(ctx) }

// Draining implements wire.
func (w *nativeWire) Draining() <-chan struct{} { return w.client.Draining() }

// Close implements wire.
func (w *nativeWire) Close(why *postern.Error) { w.client.Close(why) }

// Done implements wire.
func (w *nativeWire) Done() <-chan struct{} { return w.client.Done() }

// Cause implements wire.
func (w *nativeWire) Cause() *postern.Error { return w.client.Cause() }

// Name implements wire.
func (w *nativeWire) Name() string { return "postern/1" }

var _ wire = (*nativeWire)(nil)
