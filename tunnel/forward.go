package tunnel

import (
	"context"

	"github.com/postern-dev/postern/agent"
)

// Forwarder brings the visitors of a public URL to a service. Make one with Forward;
// its methods may be called from anywhere at any time.
type Forwarder struct {
	*tunnel
	upstream string
}

// Forward takes an endpoint online whose visitors reach the service at upstream: a
// port, host:port, http://…, https://…, tcp://…, tls://… or unix:///path. It returns
// once visitors can come; ctx bounds that wait only. Errors are those of Listen, or
// CodeUpstreamAddressInvalid.
func Forward(ctx context.Context, upstream string, o Options) (*Forwarder, error) {
	e, err := o.endpoint(upstream)
	if err != nil {
		return nil, err
	}
	t, err := open(ctx, &o, agent.Endpoint{Endpoint: e, Terminate: o.TLS, UpstreamRoots: o.VerifyUpstream})
	if err != nil {
		return nil, err
	}
	return &Forwarder{t, upstream}, nil
}

// Upstream is the address of the service, as it was given.
func (f *Forwarder) Upstream() string { return f.upstream }

// Wait blocks until the forwarder has ended and returns why: nil after Close, else
// why the server took the endpoint offline.
func (f *Forwarder) Wait() error {
	<-f.done
	return f.cause()
}
