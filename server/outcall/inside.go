package outcall

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/postern-dev/postern"
)

// Inside says that a call may go to internal endpoints of its account, and on whose
// behalf: what an internal endpoint is told of its visitor.
type Inside struct {
	Client netip.Addr // the visitor of the endpoint whose policy calls
	Depth  int        // how many calls, each by the policy of what the last one called, led to this one
}

// Endpoints are the internal endpoints of accounts.
type Endpoints interface {
	// DialInternal connects to what serves an account's internal endpoint at the host and
	// port of a URL, which is spoken to in HTTP/1.1. No network is involved, and no TLS.
	// It may block for a few seconds. Errors are the visitor's to see: an endpoint that is
	// not there, a URL that is none of an internal endpoint, and calls that go in circles.
	DialInternal(ctx context.Context, account postern.AccountID, u *url.URL, by Inside) (net.Conn, error)
}

// SetInside has calls reach internal endpoints; before, there are none.
func (c *Client) SetInside(e Endpoints) { c.inside.Store(&e) }

// Internal tells whether a host is the name of an internal endpoint, which no name server
// is asked about.
func Internal(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host == "internal" || strings.HasSuffix(host, ".internal")
}

// transportFor is what makes a request: the network's, or one for a single request to an
// internal endpoint. Connections to those are never kept: each is one visitor's.
func (c *Client) transportFor(at hop) (http.RoundTripper, error) {
	if !Internal(at.target.Hostname()) {
		return c.transport, nil
	}
	endpoints := c.inside.Load()
	if at.inside == nil || endpoints == nil {
		return nil, postern.Errorf(postern.CodeOutcallRefused, "%s cannot be called from here", at.host())
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (*endpoints).DialInternal(ctx, at.account, at.target, *at.inside)
	}
	return &http.Transport{
		DialContext: dial, DialTLSContext: dial, DisableKeepAlives: true,
		DisableCompression: true, MaxResponseHeaderBytes: headBytes,
	}, nil
}
