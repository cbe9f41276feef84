package session

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Handler serves the streams of an endpoint. ServeStream owns the stream and
// returns when it is done with it; it is called in a goroutine of its own. The
// context ends with the session, and so does the stream.
type Handler interface {
	ServeStream(ctx context.Context, h link.Header, s link.Stream)
}

// Attendant is implemented by Handlers that have something to do while their endpoint is
// online. Attend is called in a goroutine of its own whenever a session has granted the
// endpoint, and returns when ctx ends: with the session, or the endpoint. certifier is nil
// where the link has none.
type Attendant interface {
	Attend(ctx context.Context, bound link.Bound, certifier link.Certifier)
}

// HandlerFunc makes a function a Handler.
type HandlerFunc func(ctx context.Context, h link.Header, s link.Stream)

// ServeStream calls f.
func (f HandlerFunc) ServeStream(ctx context.Context, h link.Header, s link.Stream) { f(ctx, h, s) }

// Endpoint is what a Supervisor keeps online.
type Endpoint struct {
	// Name is unique within an agent and, with the credential, gives an assigned URL
	// that stays the same across restarts.
	Name string
	// Request is what is asked of the server. Its ID and Token are the Supervisor's
	// to fill in, its Name is Endpoint.Name.
	Request link.BindRequest
	// Also lists further schemes under which the same host is taken online, once the
	// request itself has been granted: http beside https.
	Also []postern.Scheme
	// Address is what the log calls the service; display only.
	Address string
	Handler Handler
	// Tap looks at the streams, where the Handler is Tappable; nil: nobody does.
	Tap Tap
	// TTL is how long the endpoint stays, from when it is online; 0: for good.
	TTL time.Duration
}

// EndpointStatus is a snapshot of one URL of an endpoint.
type EndpointStatus struct {
	Name    string // of the endpoint
	Label   string // unique within the agent: "web", and "web (http)" for its twin
	ID      string // 32 hexadecimal digits, the same for as long as the agent has it
	URL     string // as visitors type it; "" before it was first granted
	Scheme  postern.Scheme
	Address string // of the service
	Online  bool
	Refusal *postern.Error // why it is not online; nil where it is, or nobody answered yet
	Streams Counts
}

// Counts are the streams of an endpoint.
type Counts struct {
	Total uint64 // since the endpoint was made
	Open  int    // now
}

// binding is one URL of an endpoint and what is known of it. The Supervisor's lock
// guards everything but the name and the handler.
type binding struct {
	name    string // of the endpoint
	label   string // unique within the agent: "web", and "web (http)" for its twin
	id      string
	address string
	handler Handler
	tap     Tap
	ttl     time.Duration
	request link.BindRequest
	first   *binding // whose host this one copies; nil for an endpoint's own request
	streams streamCount
	// once: whoever adds it waits for the answer, and a refusal is the end.
	once bool

	on      *live      // where it is online or being bound; nil: nowhere
	granted *live      // which session's server has granted it last
	bound   link.Bound // the latest
	refusal *postern.Error
	removed bool
	since   time.Time // when it was first online

	attended context.CancelFunc // ends what the handler does for it; nil: nothing
}

// streamCount counts the streams of a binding.
type streamCount struct {
	total atomic.Uint64
	open  atomic.Int64
}

func (c *streamCount) began() {
	c.total.Add(1)
	c.open.Add(1)
}

func (c *streamCount) ended() { c.open.Add(-1) }

// status is a snapshot; the Supervisor's lock is held.
func (b *binding) status() EndpointStatus {
	return EndpointStatus{
		Name: b.name, Label: b.label, ID: b.id, URL: b.bound.PublicURL, Scheme: b.request.URL.Scheme, Address: b.address,
		Online: b.on != nil && b.granted == b.on, Refusal: b.refusal,
		Streams: Counts{Total: b.streams.total.Load(), Open: int(b.streams.open.Load())},
	}
}

// bindings makes the bindings of an endpoint: its own, then one for each of Also.
func (e Endpoint) bindings() []*binding {
	request := e.Request
	request.Name = e.Name
	own := e.binding(e.Name, request)
	all := []*binding{own}
	for _, scheme := range e.Also {
		request.URL.Scheme, request.Subdomain = scheme, ""
		twin := e.binding(e.Name+" ("+string(scheme)+")", request)
		twin.first = own
		all = append(all, twin)
	}
	return all
}

func (e *Endpoint) binding(label string, request link.BindRequest) *binding {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return &binding{
		name: e.Name, label: label, id: hex.EncodeToString(id[:]), address: e.Address,
		handler: e.Handler, tap: e.Tap, ttl: e.TTL, request: request,
	}
}

// next is what to ask for now: with the id, token and URL of the last time, where
// there was one, so that the server gives the same back.
func (b *binding) next() link.BindRequest {
	request := b.request
	if b.first != nil {
		request.URL.Host = b.first.bound.URL.Host
	}
	if b.bound.ID != "" {
		request.ID, request.Token = b.bound.ID, b.bound.Token
		url := b.bound.URL
		request.URL = postern.URLRequest{Scheme: url.Scheme, Host: url.Host, Port: url.Port}
		request.Subdomain = ""
	}
	return request
}

// ready tells whether the binding may be asked for: a twin waits for its first.
func (b *binding) ready() bool {
	return !b.removed && b.on == nil && (b.first == nil || b.first.bound.ID != "")
}
