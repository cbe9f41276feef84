package linktest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Registrar is a link.Registrar for tests with the semantics of the real one and
// no store: tokens, stable ids and names, cookies that take a session over,
// refusals with their codes. All methods may be called concurrently.
type Registrar struct {
	tokens   []string
	admitted chan *Admitted

	mu       sync.Mutex
	serial   int
	sessions map[string]*Admitted // by client id and leg
	online   map[postern.URL]*Admitted
	names    map[string]postern.URL // by bind token
}

// Admitted is one session of a Registrar, and its link.Binder.
type Admitted struct {
	Session link.Session
	Hello   link.Hello
	Welcome link.Welcome

	registrar *Registrar
	key       string
	released  chan struct{}
	changed   chan struct{} // holds one after a bind
	joined    chan *Joined

	mu       sync.Mutex // taken after the registrar's
	requests []link.BindRequest
	bound    map[string]link.Bound // by bind id
	patches  []link.Patch
	why      error
	refuses  func(link.GatewayPort) error
	closed   error // to further connections
	signs    func(link.CertificateRequest) (link.Certified, error)
}

var (
	_ link.Registrar = (*Registrar)(nil)
	_ link.Binder    = (*Admitted)(nil)
	_ link.Follower  = (*Admitted)(nil)
)

// NewRegistrar makes a Registrar that knows the tokens.
func NewRegistrar(tokens ...string) *Registrar {
	return &Registrar{
		tokens:   tokens,
		admitted: make(chan *Admitted, 64),
		sessions: map[string]*Admitted{},
		online:   map[postern.URL]*Admitted{},
		names:    map[string]postern.URL{},
	}
}

// Region implements link.Registrar.
func (r *Registrar) Region() string { return "test" }

// Admit implements link.Registrar.
func (r *Registrar) Admit(ctx context.Context, s link.Session, h link.Hello) (link.Binder, link.Welcome, error) {
	if h.Token == "" {
		return nil, link.Welcome{}, postern.Errorf(postern.CodeTokenMalformed, "the authtoken is empty")
	}
	if !slices.Contains(r.tokens, h.Token.Reveal()) {
		return nil, link.Welcome{}, postern.Errorf(postern.CodeTokenInvalid, "the authtoken is not known")
	}
	a, before := r.add(s, h)
	if before != nil {
		before.Session.Close(postern.Errorf(postern.CodeLinkLost, "the agent came back over a new connection"))
		before.Release(nil)
	}
	select {
	case r.admitted <- a:
	case <-ctx.Done():
		return nil, link.Welcome{}, postern.Errorf(postern.CodeServerBusy, "the test looks at no sessions")
	}
	return a, a.Welcome, nil
}

// add makes the session known. It gives the one whose place it takes, too.
func (r *Registrar) add(s link.Session, h link.Hello) (a, before *Admitted) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.serial++
	id := h.ClientID
	if id == "" || h.Cookie != "cookie-of-"+id {
		id = fmt.Sprintf("client-%d", r.serial)
	}
	a = &Admitted{
		Session:   s,
		Hello:     h,
		registrar: r,
		key:       fmt.Sprintf("%s/%d", id, h.Leg),
		released:  make(chan struct{}),
		changed:   make(chan struct{}, 1),
		joined:    make(chan *Joined),
		bound:     map[string]link.Bound{},
		Welcome: link.Welcome{
			SessionID:   postern.SessionID(fmt.Sprintf("ts_%d", r.serial)),
			ClientID:    id,
			Cookie:      "cookie-of-" + id,
			AccountName: "tests",
			Region:      r.Region(),
		},
	}
	before = r.sessions[a.key]
	r.sessions[a.key] = a
	return a, before
}

// Next gives the next session that was admitted.
func (r *Registrar) Next(ctx context.Context) (*Admitted, error) {
	select {
	case a := <-r.admitted:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Owner gives the session that serves u, nil for none.
func (r *Registrar) Owner(u postern.URL) *Admitted {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.online[u]
}

// Bind implements link.Binder.
func (a *Admitted) Bind(_ context.Context, request link.BindRequest) (link.Bound, error) {
	if len(request.Unsupported) > 0 {
		return link.Bound{}, postern.Errorf(postern.CodeOptionUnsupported, "this server has no %s", request.Unsupported)
	}
	r := a.registrar
	r.mu.Lock()
	defer r.mu.Unlock()
	u := r.choose(request)
	if holder := r.online[u]; holder != nil && holder != a && !request.Pooling {
		return link.Bound{}, postern.Errorf(postern.CodeAlreadyOnline, "%s is online already", u)
	}
	r.serial++
	bound := link.Bound{
		ID:         request.ID,
		EndpointID: postern.EndpointID(fmt.Sprintf("ep_%d", r.serial)),
		Token:      "token-of-" + u.String(),
		URL:        u,
		PublicURL:  u.String(),
	}
	if bound.ID == "" {
		bound.ID = fmt.Sprintf("bind-%d", r.serial)
	}
	r.online[u] = a
	r.names[bound.Token] = u
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, request)
	a.bound[bound.ID] = bound
	select {
	case a.changed <- struct{}{}:
	default:
	}
	return bound, nil
}

// choose gives the URL for a request: the token's, the one asked for, or a new one.
func (r *Registrar) choose(request link.BindRequest) postern.URL {
	if u, known := r.names[request.Token]; known {
		return u
	}
	u := postern.URL{Scheme: request.URL.Scheme, Host: request.URL.Host}
	r.serial++
	switch {
	case u.Scheme == postern.TCP:
		u.Host, u.Port = "tcp.test", request.URL.Port
		if u.Port == 0 {
			u.Port = uint16(20000 + r.serial)
		}
	case u.Host == "" && request.Subdomain != "":
		u.Host = postern.Hostname(request.Subdomain + ".test")
	case u.Host == "":
		u.Host = postern.Hostname(fmt.Sprintf("assigned-%d.test", r.serial))
	}
	return u
}

// BindLabels implements link.Binder: there are no edges.
func (a *Admitted) BindLabels(context.Context, string, map[string]string) (link.Bound, error) {
	return link.Bound{}, postern.Errorf(postern.CodeOptionUnsupported, "this server has no labelled tunnels")
}

// Unbind implements link.Binder.
func (a *Admitted) Unbind(_ context.Context, id string) error {
	a.registrar.mu.Lock()
	defer a.registrar.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if bound, known := a.bound[id]; known {
		delete(a.bound, id)
		delete(a.registrar.online, bound.URL)
	}
	return nil
}

// Patch implements link.Binder.
func (a *Admitted) Patch(_ context.Context, p link.Patch) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, bound := range a.bound {
		if bound.EndpointID == p.EndpointID {
			a.patches = append(a.patches, p)
			return nil
		}
	}
	return postern.Errorf(postern.CodeEndpointUnknown, "there is no endpoint %s", p.EndpointID)
}

// Release implements link.Binder.
func (a *Admitted) Release(why error) {
	r := a.registrar
	r.mu.Lock()
	defer r.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	select {
	case <-a.released:
		return
	default:
	}
	close(a.released)
	a.why = why
	for _, bound := range a.bound {
		if r.online[bound.URL] == a {
			delete(r.online, bound.URL)
		}
	}
	if r.sessions[a.key] == a {
		delete(r.sessions, a.key)
	}
}

// Released is closed once the session was released; Why then says why.
func (a *Admitted) Released() <-chan struct{} { return a.released }

// Why gives the reason of the release.
func (a *Admitted) Why() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.why
}

// Requests gives the bind requests so far.
func (a *Admitted) Requests() []link.BindRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requests)
}

// Patches gives the patches so far.
func (a *Admitted) Patches() []link.Patch {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.patches)
}

// Bound gives what is online now.
func (a *Admitted) Bound() []link.Bound {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []link.Bound
	for _, bound := range a.bound {
		all = append(all, bound)
	}
	return all
}

// AwaitBound waits until n endpoints are online; one goroutine at a time.
func (a *Admitted) AwaitBound(ctx context.Context, n int) error {
	for len(a.Bound()) < n {
		select {
		case <-a.changed:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d endpoints are online: %w", len(a.Bound()), n, ctx.Err())
		}
	}
	return nil
}

// RefuseFurther has further connections of the session refused with why.
func (a *Admitted) RefuseFurther(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = why
}

// Follow implements link.Follower.
func (a *Admitted) Follow(context.Context, netip.AddrPort) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.closed
}
