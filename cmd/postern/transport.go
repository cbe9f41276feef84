package main

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/url"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
)

// httpTransport reaches a URL of the server over HTTP, through the proxy that is configured or
// in the environment.
func (c *connection) httpTransport(streams ioStreams, address, cas string, proxy postern.Secret) (*http.Transport, error) {
	roots, err := dial.ServerPool(cas, c.savedCAs(streams))
	if err != nil {
		return nil, err
	}
	dialer := &dial.Dialer{}
	if proxy != "" {
		dialer.Proxy, err = dial.ParseProxy("proxy_url", proxy.Reveal())
	} else if at, parseError := url.Parse(address); parseError == nil {
		dialer.Proxy, err = dial.ProxyFromEnvironment(streams.Env, net.JoinHostPort(at.Hostname(), firstOf(at.Port(), "443")))
	}
	if err != nil {
		return nil, err
	}
	return &http.Transport{DialContext: dialer.Dial, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}, nil
}
