package control

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// The bindings that an agent may ask for; see docs/internal-endpoints.md.
const (
	bindingPublic   = "public"
	bindingInternal = "internal"
)

// internal tells whether an internal endpoint is asked for: by its binding, or, where none
// is given, by a name below .internal that is not below a domain of the server's own.
func (c *Control) internal(r link.BindRequest) (bool, error) {
	below := r.URL.Host.Internal() && c.belowOwn(r.URL.Host) == "" && r.URL.Host != c.config.Domain && r.URL.Host != c.base()
	switch {
	case len(r.Bindings) > 1:
		return false, postern.Errorf(postern.CodeOptionUnsupported, "an endpoint has one binding, public or internal; %d are given", len(r.Bindings))
	case len(r.Bindings) == 0:
		return below, nil
	case r.Bindings[0] == bindingPublic && below:
		return false, postern.Errorf(postern.CodeBindInvalid, "binding %q: names below .internal are never public; leave the binding out, or ask for another name", bindingPublic)
	case r.Bindings[0] == bindingPublic:
		return false, nil
	case r.Bindings[0] == bindingInternal:
		return true, nil
	}
	return false, postern.Errorf(postern.CodeOptionUnsupported, "binding %q: this server has public and internal endpoints", shorten(r.Bindings[0]))
}

// requestedInternal turns what was asked for into the URL of an internal endpoint, which
// has no part for the server to assign. The account is the session's to fill in.
func requestedInternal(r link.BindRequest) (postern.URL, error) {
	u := postern.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Port: r.URL.Port}
	switch {
	case u.Scheme == postern.UDP:
		return u, postern.Errorf(postern.CodeOptionUnsupported, "udp endpoints cannot be internal; http, https, tcp and tls endpoints can")
	case u.Host == "":
		return u, postern.Errorf(postern.CodeInternalNameInvalid, "an internal endpoint has no name that the server chooses; ask for one, such as %s://api.internal", u.Scheme)
	case u.Scheme == postern.TCP && u.Port == 0:
		return u, postern.Errorf(postern.CodeBindInvalid, "the internal endpoint tcp://%s has no port; write it, such as tcp://%s:5432", u.Host, u.Host)
	}
	if err := u.Host.CheckInternal(); err != nil {
		return u, err
	}
	return u, checkInternalOptions(r.Options)
}

// checkInternalOptions refuses what needs a visitor's own TLS connection: whoever comes to
// an internal endpoint has met a public one before.
func checkInternalOptions(o postern.EndpointOptions) error {
	if o.MutualTLS.Asks() {
		return postern.Errorf(postern.CodeBindInvalid, "an internal endpoint cannot ask visitors for certificates; have the public endpoint ask that forwards to it")
	}
	if o.Termination != postern.Passthrough {
		return postern.Errorf(postern.CodeBindInvalid, "the edge ends no TLS of an internal endpoint; leave terminate_at out, or end it at the agent")
	}
	return nil
}

// takeInternal takes an internal endpoint online. The name is the account's by itself, so
// the store is not asked.
func (s *session) takeInternal(ctx context.Context, e *endpoint, u postern.URL) error {
	if !s.credential().ACL.Allows(u) {
		return notAllowed(u)
	}
	return s.online(ctx, e, u)
}
