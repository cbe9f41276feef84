package edge

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/errorpage"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

// Config is what an Edge needs. Domain, Routes, Certificate and Agents are
// required; the zero value of everything else is a default.
type Config struct {
	// Domain is the server's own: agents connect to connect.<Domain>.
	Domain postern.Hostname
	// EndpointsDomain is what endpoints of all accounts have their names below; "" is Domain.
	EndpointsDomain postern.Hostname
	// Routes holds the table in force; it is loaded for every connection and request.
	Routes *route.Current
	// Recent says which addresses may come back in a moment: requests wait for them.
	// nil: nobody waits.
	Recent *route.Recent
	// Certificate gives the certificate for a ClientHello; (nil, nil) refuses the
	// name with unrecognized_name. It must not block for long.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Authorities gives what an account has uploaded as a certificate authority: nil for
	// no such thing, and the same pointer for as long as it is unchanged. It is asked for
	// requests of endpoints that refer to one, and must not block. nil: there are none.
	Authorities func(account postern.AccountID, id string) *material.Authorities
	// Agents serves an agent's connection, TLS done. It owns conn, and returns when
	// the session has ended. alpn is "postern/1", or "" for an SDK. ctx ends when the
	// edge has drained.
	Agents func(ctx context.Context, conn net.Conn, alpn string)
	// Policy is what the policies of endpoints may use of the server.
	Policy policy.World
	// Access says which addresses endpoints are open to, and which names are agent
	// ingresses; nil: to all, and none.
	Access *access.Current
	// Pages are the error pages of reserved domains; nil: there are none.
	Pages *errorpage.Current
	// Connectors serves connectors of private gateways; nil: there are none. Its names win
	// over routes.
	Connectors Connectors
	// Challenges has the proofs that certificate authorities look for; nil: there are none.
	Challenges Challenges
	// Region is the name of this server's region, for policies.
	Region string
	// Hosts are the server's own sites, by name; they win over routes.
	Hosts map[postern.Hostname]http.Handler

	// Public holds the ports that visitors type, for redirects and X-Forwarded-Port.
	// 0 is the scheme's default.
	Public PublicPorts
	// PortAddr is the address on which TCP endpoints listen; the zero value is every
	// address.
	PortAddr netip.Addr
	// ProxyProtocol says which listeners require a PROXY header, before TLS. Only
	// peers in TrustedProxies may connect to such a listener.
	ProxyProtocol ProxyListeners

	Limits   Limits
	Timeouts Timeouts
	// TrustedProxies are the peers whose X-Forwarded-* and Forwarded are believed, and
	// that may send PROXY headers.
	TrustedProxies []netip.Prefix

	// NetHTTPOnly serves HTTP/1.1 as everything else, through net/http, so that tests,
	// benchmarks and operators can compare it with the relay.
	NetHTTPOnly bool

	// Subscribers are told about requests, see Subscriber. AccessLog and Metrics are two
	// more, behind them.
	Subscribers []Subscriber

	AccessLog *slog.Logger          // one line a request or connection; nil is off
	Metrics   prometheus.Registerer // nil is off
	Logger    *slog.Logger          // nil discards
}

// PublicPorts are the ports in URLs that people see.
type PublicPorts struct{ HTTPS, HTTP uint16 }

// ProxyListeners are kinds of listeners.
type ProxyListeners struct{ HTTPS, HTTP, Agents, SSH, Ports bool }

// Limits bound what visitors can take. 0 is the default.
type Limits struct {
	Connections           int // at once, agents' included; 50 000
	ConnectionsPerAddress int // at once from one address (IPv6: one /64); 2000
	HeaderBytes           int // of one request's head; 32 KiB
	HeaderCount           int // header lines of one request; 200
	HTTP2Streams          int // at once on one connection; 100
	// LeastRate is the number of bytes a second that a visitor must send of a request's
	// body, and take of what is sent to it, while we wait for it; 64; negative: none.
	LeastRate int64
}

// Timeouts bound waiting, never the length of a transfer that moves. 0 is the
// default.
type Timeouts struct {
	Handshake     time.Duration // PROXY header, TLS and the first bytes, all together; 10 s
	RequestHeader time.Duration // a request's head, from its first byte; 10 s
	Idle          time.Duration // a kept connection between two requests; 2 min
	// Patience is how long a visitor may keep us waiting in the middle of something, who
	// then earns more by Limits.LeastRate; 20 s. It has no meaning without a rate.
	Patience time.Duration
	// Transfer is the most that can be earned: it ends an HTTP body in which nothing
	// moves because of the visitor, and a relayed connection whose reader takes nothing;
	// 5 min. A quiet connection that has nothing to say (WebSocket, SSE, SSH) is no such
	// thing.
	Transfer       time.Duration
	ResponseHeader time.Duration // the upstream's answer after the request has been sent; 2 min; negative: none
	Open           time.Duration // waiting for a free stream to the agent; 10 s
}

func (l Limits) orDefault() Limits {
	l.Connections = either(l.Connections, 50_000)
	l.ConnectionsPerAddress = either(l.ConnectionsPerAddress, 2000)
	l.HeaderBytes = either(l.HeaderBytes, 32<<10)
	l.HeaderCount = either(l.HeaderCount, 200)
	l.HTTP2Streams = either(l.HTTP2Streams, 100)
	l.LeastRate = either(l.LeastRate, 64)
	return l
}

func (t Timeouts) orDefault() Timeouts {
	t.Handshake = either(t.Handshake, 10*time.Second)
	t.RequestHeader = either(t.RequestHeader, 10*time.Second)
	t.Idle = either(t.Idle, 2*time.Minute)
	t.Patience = either(t.Patience, 20*time.Second)
	t.Transfer = either(t.Transfer, 5*time.Minute)
	t.ResponseHeader = max(0, either(t.ResponseHeader, 2*time.Minute))
	t.Open = either(t.Open, 10*time.Second)
	return t
}

// either gives value, or fallback where value is not set.
func either[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// Live is what may change while connections flow, see Edge.Reload.
type Live struct {
	Limits         Limits // Connections, ConnectionsPerAddress and LeastRate only
	Timeouts       Timeouts
	TrustedProxies []netip.Prefix
	AccessLog      *slog.Logger

	subscribers []Subscriber // all that are in force
	unrouted    *plan        // for requests that find no endpoint
}

func (l *Live) trusts(addr netip.Addr) bool {
	addr = addr.Unmap()
	for _, prefix := range l.TrustedProxies {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
