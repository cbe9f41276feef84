package outcall

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
)

const (
	// The bounds of what is under way: of one account, and of all.
	mostPerAccount = 32
	mostCalls      = 512
	// headBytes bounds the head of an answer.
	headBytes = 64 << 10
	// unused is how long a connection is kept for the next call.
	unused = 30 * time.Second
)

// Config says how a Client calls. Its zero value calls public addresses only.
type Config struct {
	Allow    []netip.Prefix // networks that may be called besides the public ones
	Ports    []uint16       // of this machine, where it serves visitors
	Resolver *net.Resolver  // nil: the system's
	Roots    *x509.CertPool // nil: the system's
}

// Client makes calls. It may be used concurrently. Close it when it is not needed any more.
type Client struct {
	guard     *guard
	transport *http.Transport
	inside    atomic.Pointer[Endpoints]
	accounts  run.Keyed[postern.AccountID, atomic.Int32]
	calls     atomic.Int32
}

// New makes a Client.
func New(config Config) *Client {
	g := &guard{ranges: newRanges(), ports: config.Ports, own: machine}
	dialer := &net.Dialer{Resolver: config.Resolver, ControlContext: g.control, KeepAlive: unused}
	c := &Client{guard: g, transport: &http.Transport{
		Proxy:                  nil, // no environment variable sends calls elsewhere
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: config.Roots, MinVersion: tls.VersionTLS12},
		DisableCompression:     true, // what is counted is what comes
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           64,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        unused,
		MaxResponseHeaderBytes: headBytes,
	}}
	c.SetAllow(config.Allow)
	return c
}

// SetAllow replaces the networks that may be called besides the public ones, for calls
// that begin from now on.
func (c *Client) SetAllow(networks []netip.Prefix) {
	networks = slices.Clone(networks)
	c.guard.allow.Store(&networks)
	c.transport.CloseIdleConnections()
}

// Close closes the connections that no call uses. Those of calls under way end with them.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// enter counts a call of an account, or refuses it.
func (c *Client) enter(account postern.AccountID) (leave func(), err error) {
	mine, forget := c.accounts.Use(account, nil)
	leave = func() {
		mine.Add(-1)
		c.calls.Add(-1)
		forget()
	}
	own, all := mine.Add(1), c.calls.Add(1)
	switch {
	case own > mostPerAccount:
		leave()
		return nil, postern.Errorf(postern.CodeOutcallsBusy, "the account has %d calls under way, which is as many as it may have", mostPerAccount)
	case all > mostCalls:
		leave()
		return nil, postern.Errorf(postern.CodeOutcallsBusy, "the server has %d calls under way, which is as many as it makes", mostCalls)
	}
	return leave, nil
}
