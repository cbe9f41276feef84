package connector

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/postern-dev/postern"
)

const (
	preflightPatience = 10 * time.Second
	mostRedirects     = 5
	// mostPreflight is how much is read of an answer that nobody looks at, so that the
	// far end can close in peace.
	mostPreflight = 4 << 10
)

// speaksHeader is said by connectors that know our native link, and by servers that do.
const speaksHeader = "Postern-Connector"

// preflight asks the address where the gateway is and what it speaks, as outsystemscc
// does since 2.0: the Location of a redirect takes the address's place, any other answer
// leaves it. Unlike there a 301, 303, 307 or 308 is followed as well, and to the end.
// Errors are CodeServerUnreachable, CodeServerUntrusted, CodeProxyRefused and
// CodeIntercepted.
func (r *route) preflight(ctx context.Context) (at address, native bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, preflightPatience)
	defer cancel()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return r.net.Dial(ctx, network, addr)
		},
		TLSClientConfig:        r.tls,
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	at = r.base
	for range mostRedirects {
		answer, err := r.ask(ctx, transport, at)
		if err != nil {
			return at, false, err
		}
		switch answer.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
			if at, err = at.redirected(answer.Header.Get("Location")); err != nil {
				return at, false, err
			}
		default:
			return at, answer.Header.Get(speaksHeader) == "1", nil
		}
	}
	return at, false, postern.Errorf(postern.CodeIntercepted, "%s redirects more than %d times", r.base.shown(), mostRedirects)
}

// ask sends one pre-flight. The token goes to the address that was configured, and to
// others at the same place, only: whoever else is redirected to is told it when the
// WebSocket is opened there.
func (r *route) ask(ctx context.Context, transport http.RoundTripper, at address) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.url.String(), nil)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "the server %s cannot be asked: %v", at.shown(), err)
	}
	request.Header = r.gateway.header(r.userAgent)
	if at.url.Scheme != r.base.url.Scheme || at.url.Host != r.base.url.Host {
		request.Header = http.Header{"User-Agent": {r.userAgent}}
	} else if host := r.gateway.host(); host != "" {
		request.Host = host
	}
	request.Header.Set(speaksHeader, "1")
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return nil, r.unreachable(at, err)
	}
	_, _ = io.CopyN(io.Discard, answer.Body, mostPreflight) // best effort: nothing is wanted of it
	_ = answer.Body.Close()
	return answer, nil
}
