package session

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Handler serves the streams of an endpoint. ServeStream owns the stream and
// returns when it is done with it; it is called in a goroutine of its own. The
// context ends with the session, and so does the stream.
type Handler interface {
	ServeStream(ctx context.Context, h link.Header, s link.Stream)
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
}

// binding is one URL of an endpoint and what is known of it. The Supervisor's lock
// guards everything but the name and the handler.
type binding struct {
	name    string // of the endpoint
	label   string // unique within the agent: "web", and "web (http)" for its twin
	address string
	handler Handler
	request link.BindRequest
	first   *binding // whose host this one copies; nil for an endpoint's own request

	on      *live      // where it is online or being bound; nil: nowhere
	bound   link.Bound // the latest
	refusal *postern.Error
	removed bool
}

// bindings makes the bindings of an endpoint: its own, then one for each of Also.
func (e Endpoint) bindings() []*binding {
	request := e.Request
	request.Name = e.Name
	own := &binding{name: e.Name, label: e.Name, address: e.Address, handler: e.Handler, request: request}
	all := []*binding{own}
	for _, scheme := range e.Also {
		twin := *own
		twin.label = e.Name + " (" + string(scheme) + ")"
		twin.request.URL.Scheme = scheme
		twin.request.Subdomain = ""
		twin.first = own
		all = append(all, &twin)
	}
	return all
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
