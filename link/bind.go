package link

import (
	"context"
	"encoding/json"
	"time"

	"github.com/postern-dev/postern"
)

// Hello is what an agent says when it connects.
type Hello struct {
	Token postern.Secret // the authtoken
	// SSHKey is the public key, in SSH's wire form, that the agent has proven to have;
	// it stands in for the Token, which is then empty.
	SSHKey    []byte
	ClientID  string // of the session it had before, "" for none
	Cookie    string // proves that ClientID was its own
	Leg       int    // of a multi-leg session; 0 is the first
	Agent     postern.AgentInfo
	Heartbeat time.Duration // the agent's own interval; 0 where it did not say
	Tolerance time.Duration
	// Unsupported holds, for each Action, why the agent cannot do it; absent or ""
	// is "it can".
	Unsupported map[Action]string
	// Gateway is what a connector of a private gateway says; nil for agents.
	Gateway *GatewayHello
}

// Welcome is the server's answer.
type Welcome struct {
	SessionID   postern.SessionID
	ClientID    string // present it again to come back
	Cookie      string
	AccountName string
	Region      string
	Banner      string
}

// Registrar admits sessions. server/control implements it; adapters call it.
type Registrar interface {
	// Region is the name of this server's region; it may be asked before Admit.
	Region() string

	// Admit authenticates the agent behind s. The Binder is for this session only;
	// the caller must Release it exactly when the session has ended. On error
	// (a *postern.Error: CodeTokenMalformed, CodeTokenInvalid, CodeTooManyFailures,
	// CodeSessionLimit, CodeServerBusy) there is no Binder and the caller tells the
	// agent and closes s. Admit may block for as long as ctx allows.
	Admit(ctx context.Context, s Session, h Hello) (Binder, Welcome, error)
}

// Binder does what one admitted session asks for. Errors are *postern.Error.
type Binder interface {
	// Bind takes an endpoint online. When it returns, visitors reach it.
	Bind(ctx context.Context, r BindRequest) (Bound, error)

	// BindLabels takes a labelled tunnel online (ngrok's edges). Postern has no
	// edges: it answers CodeOptionUnsupported, unless policy changes that later.
	BindLabels(ctx context.Context, id string, labels map[string]string) (Bound, error)

	// Unbind takes an endpoint offline. An unknown id is no error: SDKs close twice,
	// and close by the id of an earlier session.
	Unbind(ctx context.Context, id string) error

	// Patch changes an endpoint, by the EndpointID of its Bound.
	Patch(ctx context.Context, p Patch) error

	// Release takes everything of the session offline; why is for the log. Only the
	// first call counts.
	Release(why error)
}

// BindRequest asks for an endpoint.
type BindRequest struct {
	ID    string // as given by an earlier Bound, on return; "" to be given one
	Token string // of an earlier Bound: gives the same URL back
	// URL is what was asked for, empty parts for the server to choose.
	URL         postern.URLRequest
	Subdomain   string // asks for a label below the server's domain
	Name        string
	Description string
	Metadata    string
	ForwardsTo  string
	Bindings    []string // "public", "internal", "kubernetes"; empty is public
	Pooling     bool
	Options     postern.EndpointOptions
	// Middleware holds further options, each under its name in ngrok's protocol
	// ("BasicAuth", "TrafficPolicy", …) and in that protocol's JSON. Nobody on the way
	// may drop one: it may be what keeps strangers out.
	Middleware map[string]json.RawMessage
	// Unsupported names the options in the request that this server does not
	// implement; Bind refuses them with CodeOptionUnsupported.
	Unsupported []string
}

// Bound is an endpoint that is online.
type Bound struct {
	ID         string // the bind id: equal to the request's where it had one
	EndpointID postern.EndpointID
	Token      string
	URL        postern.URL
	PublicURL  string // as visitors type it: URL with the public port
}

// Patch changes what is set of a live endpoint.
type Patch struct {
	EndpointID    postern.EndpointID
	Name          *string
	Description   *string
	Metadata      *string
	Pooling       *bool
	TrafficPolicy *string
}
