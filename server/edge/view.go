package edge

import (
	"context"
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/route"
)

// Times is when the steps of an exchange were taken; zero for what has not happened.
type Times struct {
	Started time.Time // its head was read
	// Opened is when it got a connection to the service, and FirstByte when the head of
	// the final answer had come. Both are zero where nobody follows heads or bytes.
	Opened, FirstByte time.Time
	Ended             time.Time
}

// ID is the request's id; error pages and the access log show it.
func (x *Exchange) ID() postern.RequestID {
	if x.id == "" {
		x.id = obs.NewRequestID()
	}
	return x.id
}

// Route is the endpoint that serves the request; nil where there is none.
func (x *Exchange) Route() *route.Route { return x.route }

// Member is the endpoint of the route that was tried last; "" for none yet.
func (x *Exchange) Member() postern.EndpointID { return x.member }

// Host is the name that the request was sent to, "" where it is none.
func (x *Exchange) Host() postern.Hostname { return x.host }

// Scheme is "https" or "http", between visitor and edge.
func (x *Exchange) Scheme() string {
	if x.visitor.secure {
		return "https"
	}
	return "http"
}

// Protocol is the request's, as "HTTP/1.1".
func (x *Exchange) Protocol() string { return x.head.protocol() }

// Peer is the visitor's address and port; behind a proxy that sends the PROXY protocol,
// whom it names.
func (x *Exchange) Peer() netip.AddrPort { return x.visitor.client }

// Client is the visitor behind trusted proxies, whose X-Forwarded-For is believed; else
// Peer's address.
func (x *Exchange) Client() netip.Addr {
	if x.client.addr.IsValid() {
		return x.client.addr
	}
	return x.visitor.client.Addr()
}

// Local is the address and port that the visitor dialled, as far as is known.
func (x *Exchange) Local() netip.AddrPort { return x.visitor.local }

// TLS is the state of the visitor's connection, nil without TLS. It allocates.
func (x *Exchange) TLS() *tls.ConnectionState {
	if x.visitor.tls == nil {
		return nil
	}
	state := x.visitor.tls.ConnectionState()
	return &state
}

// ClientCertificate is what the visitor has shown; nil for nothing, and where the endpoint
// does not ask. It must not be changed.
func (x *Exchange) ClientCertificate() *postern.ClientCertificate {
	if shown := x.visitor.certified.Load(); shown != nil {
		return shown.client
	}
	return nil
}

// Request is the request's head, for Follower.Request.
func (x *Exchange) Request() *Request { return &x.request }

// Response is the answer's head, for Follower.Response.
func (x *Exchange) Response() *Response { return &x.response }

// Context lives until the visitor has gone, as far as that is noticed, the edge ends or
// the exchange is over. It allocates.
func (x *Exchange) Context() context.Context { return x.head.context() }

// Times is when the steps were taken so far.
func (x *Exchange) Times() Times { return x.times }

// Status is the answer's; 0 until its head was sent, and for ever where the visitor
// went before. An upgraded connection's is 101.
func (x *Exchange) Status() int { return x.status }

// Received is the number of bytes of the request's body, or that an upgraded connection
// moved to the service. It is complete in End.
func (x *Exchange) Received() int64 { return x.received }

// Sent is the number of bytes of the answer's body, or that an upgraded connection moved
// to the visitor. It is complete in End.
func (x *Exchange) Sent() int64 { return x.sent }

// Moved counts what an upgraded connection moves; a is the visitor. nil for others.
func (x *Exchange) Moved() *relay.Counters { return x.moved }

// Failure is why the exchange failed, nil if it did not. With a Status below 400 the
// transfer broke off after the head was sent.
func (x *Exchange) Failure() *postern.Error { return x.failure }
