package policy

import (
	"context"
	"crypto/tls"
	"io"
	"iter"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/gate"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy/body"
)

// Connection is a visitor's connection, as a policy sees it.
type Connection interface {
	// Client is the visitor, behind trusted proxies; Peer its address and port on the
	// connection, and Local what it dialled.
	Client() netip.Addr
	Peer() netip.AddrPort
	Local() netip.AddrPort
	// Began is when the connection was accepted.
	Began() time.Time
	// TLS is the state of a connection that the server ends TLS of; nil for others.
	TLS() *tls.ConnectionState
	// ServerName is what the visitor's TLS asked for, "" for nothing.
	ServerName() string
	// ClientCertificate is what the visitor has shown; nil for nothing.
	ClientCertificate() *postern.ClientCertificate
	// Moved is how many bytes came from the visitor and went to it so far.
	Moved() (in, out int64)
}

// Head is a message's head, and its body where the program said that it needs bodies.
type Head interface {
	Values(name string) []string
	Get(name string) string
	All() iter.Seq2[string, string]
	Names() []string // sorted, each once
	Set(name, value string)
	Add(name, value string)
	Remove(name string)
	Length() int64
	Body() io.Reader
	SetBody(r io.Reader, length int64)
}

// Request is a request's head.
type Request interface {
	Head
	Method() string
	Host() string // as sent
	SetHost(host string)
	Target() string // path and query; a whole URL where the visitor sent one
	// Sent gives the lines of a header as the visitor sent them, of those that go no
	// further, too.
	Sent(name string) []string
	SetTarget(target string)
	// Trailers are the names of those that come behind the body, and go on.
	Trailers() []string
	RemoveTrailer(name string)
}

// Response is the head of a final answer.
type Response interface {
	Head
	Status() int
}

// Subject is what an Evaluation is of. Context and Connection are required.
type Subject struct {
	Context    context.Context
	Connection Connection
	Endpoint   Endpoint
	Scheme     string // "http" or "https", between visitor and server
	Protocol   string // the request's, as "HTTP/1.1"
	Started    time.Time
	// Nameless tells that the connection's Client is a proxy that has named nobody.
	Nameless bool
	// Forward has an internal endpoint serve what has come; an error says that none does.
	// nil: what actions say is believed.
	Forward func(url string) error
	// RequestID is that of the request, or of a connection that is relayed, as the access log
	// has it; nil: there is none.
	RequestID func() postern.RequestID
	Number    uint64 // of the connection; others of the process have others
	// Depth is how many requests of policies, each by the policy of what the last one
	// asked, led to this one.
	Depth int
	// EndTLS has the server end the connection's TLS, by a policy that EndsTLS: as a rule
	// says, or as without one where no rule is left that could say it (nil). It is called
	// once at most; an error ends the evaluation. nil: TLS has ended already.
	EndTLS func(t *Termination) error
}

// Endpoint is the endpoint whose policy it is.
type Endpoint struct {
	ID      postern.EndpointID
	URL     postern.URL
	Public  string // as visitors type it
	Account postern.AccountID
	Region  string
}

// World is what policies may use of the server. All evaluations share one; nil functions
// have nothing.
type World struct {
	Now func() time.Time
	// Secret gives a vault's secret.
	Secret func(ctx context.Context, account postern.AccountID, vault, name string) (postern.Secret, error)
	// Addresses gives an IP policy of an account's, as it is now.
	Addresses func(account postern.AccountID, id string) (*access.List, bool)
	// Calls makes requests that policies ask for.
	Calls Caller
	// Places knows about addresses; nil: nothing.
	Places Places
	// Log takes what the action log writes.
	Log func(ctx context.Context, l Logged)
	// Bodies has the memory for changing bodies; nil gives each exchange its own.
	Bodies *body.Encoders
	// Signer recognises what visitors keep for the server; nil: they keep nothing.
	Signer gate.Signer
	// Passwords compares passwords with hashes; nil: each action does for itself.
	Passwords gate.Passwords
}

// bodies is what changes bodies.
func (w *World) bodies() *body.Encoders {
	if w.Bodies != nil {
		return w.Bodies
	}
	return body.NewEncoders(body.NewBudget(ownMemory))
}

// ownMemory is what an exchange may hold for changing a body where nothing is shared.
const ownMemory = 32 << 20

// Caller makes requests to what tenants name: an *outcall.Client.
type Caller interface {
	Do(ctx context.Context, call outcall.Call) (*outcall.Answer, error)
}

// Logged is what the action log has written.
type Logged struct {
	Endpoint   Endpoint
	At         time.Time
	Phase      string // as a policy names it
	Rule       string // where it stands in the policy
	RuleName   string // "" for none
	RequestID  postern.RequestID
	Connection uint64
	Client     netip.Addr
	Metadata   map[string]string // at most MostLogged bytes
}

// MostLogged bounds the names and values of what the action log writes at once, in bytes.
const MostLogged = 8 << 10

// Size is that of the names and values, in bytes.
func (l Logged) Size() int {
	size := 0
	for name, value := range l.Metadata {
		size += len(name) + len(value)
	}
	return size
}
