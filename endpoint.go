package postern

import "time"

// Endpoint is a public address and what stands behind it.
type Endpoint struct {
	ID          EndpointID
	URL         URL
	Account     AccountID
	Credential  CredentialID
	Session     SessionID
	Name        string // the agent's own name for it
	Description string
	Metadata    string
	ForwardsTo  string // display only; untrusted
	Pooling     bool   // may share its URL with other endpoints of the account
	Options     EndpointOptions
	StartedAt   time.Time
}

// EndpointOptions are what the edge does to traffic on its way.
type EndpointOptions struct {
	// HostHeader replaces the Host of requests: "" keeps the visitor's, any other
	// value is sent as it is.
	HostHeader string
	// ProxyProtocol is the PROXY protocol version written before a connection's
	// first byte: 0 (none), 1 or 2.
	ProxyProtocol int
	// UpstreamProtocol is what http requests are sent as.
	UpstreamProtocol UpstreamProtocol
	// WebSocketTCP has visitors of an http or https endpoint speak WebSocket with the edge,
	// and gives the agent what is in their messages as a plain stream of bytes.
	WebSocketTCP bool
	// VisitorAddress says that the agent shows each stream's visitor to an
	// application: an http stream is then reused for the same address only.
	VisitorAddress bool
	// Termination says who ends TLS on a tls endpoint.
	Termination Termination
	// CertificatePEM and KeyPEM, where given, are what the edge presents on a tls
	// endpoint that it terminates; empty: its own certificate for the name.
	CertificatePEM string
	KeyPEM         Secret
	// MutualTLS asks visitors for certificates, where the edge ends their TLS.
	MutualTLS MutualTLS
	// Policy is the traffic policy that everything is held to, as text. It is a secret,
	// for there may be passwords in it.
	Policy Secret
	// PolicyBefore is held to before Policy: what the other options of the endpoint mean,
	// in the language of policies.
	PolicyBefore Secret
	// ErrorPages is what visitors of an http or https endpoint are shown in place of the
	// server's own pages: ErrorPages in JSON, "" for none. It is text so that options can
	// be compared.
	ErrorPages string
}

// UpstreamProtocol is the HTTP version spoken to the agent's side.
type UpstreamProtocol string

// The upstream protocols; the zero value is HTTP/1.1.
const (
	HTTP1 UpstreamProtocol = ""
	HTTP2 UpstreamProtocol = "http2" // prior knowledge, no TLS on the stream
)

// Termination says where a visitor's TLS ends.
type Termination string

const (
	// Passthrough hands the visitor's TLS on untouched: to the agent or to the
	// upstream, the edge cannot tell which.
	Passthrough Termination = ""
	// AtEdge decrypts here.
	AtEdge Termination = "edge"
)
