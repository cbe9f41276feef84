package cluster

import (
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Live is an endpoint that is online, and the session that serves it.
type Live struct {
	Endpoint postern.Endpoint
	BindID   string // what the session calls it: link.Header's Endpoint
	Session  link.Session

	// Client is the agent's process behind the session, "" where that is not known, and
	// Since is when the session began, by the machine's monotonic clock: the other one may
	// be set back between two sessions. What two processes of this node hold of one
	// client's, the newer session has.
	Client string
	Since  time.Duration

	// Borrowed says that the session is another process's of this node, which hands over
	// to us or to which we have handed over.
	Borrowed bool
}

// succeeds tells whether l is of a newer session of the agent that other is of, where
// the two are in different processes: the agent has gone over from one to the other.
func (l Live) succeeds(other Live) bool {
	return l.sameAgent(other) && l.Since > other.Since
}

func (l Live) sameAgent(other Live) bool {
	return l.Client != "" && l.Client == other.Client && l.Endpoint.Account == other.Endpoint.Account &&
		(l.Borrowed || other.Borrowed)
}

// Conflict is why an endpoint could not come online: somebody else holds its key. It
// carries the code (CodeAlreadyOnline) and the message for the agent, and the
// holders for the caller alone, which may ping and evict a dead one and try again.
type Conflict struct {
	coded   *postern.Error
	holders []Live
}

// Error is the coded error's text.
func (c *Conflict) Error() string { return c.coded.Error() }

// Unwrap returns the *postern.Error, so that postern.AsError finds it.
func (c *Conflict) Unwrap() error { return c.coded }

// Holders returns all that share the key, the one that has held it for longest first.
func (c *Conflict) Holders() []Live { return slices.Clone(c.holders) }

// conflictWith checks whether l may join the endpoints that are online already.
func conflictWith(held []Live, l Live) error {
	if len(held) == 0 {
		return nil
	}
	first, next := held[0].Endpoint, l.Endpoint
	conflict := func(format string, args ...any) error {
		return &Conflict{coded: postern.Errorf(postern.CodeAlreadyOnline, format, args...), holders: held}
	}
	switch {
	case first.Account != next.Account:
		return conflict("the endpoint %s is already online", next.URL)
	case first.URL != next.URL:
		return conflict("the endpoint %s is online and has the same name and port as %s", first.URL, next.URL)
	case !next.Pooling:
		return conflict("the endpoint %s is already online; to share it, start every agent with pooling enabled", next.URL)
	case slices.ContainsFunc(held, func(h Live) bool { return !h.Endpoint.Pooling }):
		return conflict("the endpoint %s is already online and was started without pooling", next.URL)
	}
	if what := disagreement(first.Options, next.Options); what != "" {
		return conflict("the endpoint %s is already online with another %s; all that share an endpoint must agree on it", next.URL, what)
	}
	return nil
}

// disagreement names what is decided before a member is picked, and differs.
func disagreement(a, b postern.EndpointOptions) string {
	switch {
	case a.Termination != b.Termination:
		return "TLS termination"
	case a.CertificatePEM != b.CertificatePEM:
		return "TLS certificate"
	case !a.KeyPEM.Equal(b.KeyPEM):
		return "TLS key"
	case a.MutualTLS != b.MutualTLS:
		return "way of mutual TLS"
	}
	return ""
}
