//go:build linux

package e2e_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern/internal/testkit/path"
)

// distant is a server here, and a place at the other end of a bad path for agents
// and their services. Visitors are beside the server.
type distant struct {
	*server
	path  *path.Path
	there *path.Namespace
}

// startDistant boots a server that takes agents at the path's near end.
func startDistant(t *testing.T, c path.Config, extra ...string) *distant {
	t.Helper()
	p, there := path.Between(t, c)
	link := netip.AddrPortFrom(p.Near(), uint16(freePorts(t, 1)[0]))
	s := startServer(t, slices.Concat([]string{"  agent: " + link.String()}, extra)...)
	s.connect = link.String()
	return &distant{s, p, there}
}

// serve runs a service there. loopback is its address for agents; direct is its
// address for visitors, over the path and without a tunnel.
func (d *distant) serve(handler http.Handler) (loopback, direct string) {
	d.t.Helper()
	for _, host := range []string{"127.0.0.1", d.path.Far().String()} {
		service := httptest.NewUnstartedServer(handler)
		service.Listener.Close()
		if err := d.there.Do(func() (err error) {
			service.Listener, err = net.Listen("tcp", host+":0")
			return err
		}); err != nil {
			d.t.Fatal(err)
		}
		service.Start()
		d.t.Cleanup(service.Close)
		loopback, direct = direct, service.URL
	}
	return loopback, direct
}

// agent starts an agent there and returns the URL of its endpoint.
func (d *distant) agent(args ...string) (p *process, url string) {
	d.t.Helper()
	if err := d.there.Do(func() error { p = d.agentProcess(args...); return nil }); err != nil {
		d.t.Fatal(err)
	}
	return p, p.onlineURL()
}

// serveSDK is an agent of ngrok's that dials from there, with the service in it.
func (d *distant) serveSDK(handler http.Handler) (agent ngrok.Agent, url string) {
	d.t.Helper()
	agent = d.sdk(ngrok.WithDialer(dialerThere{d.there}))
	listener, err := agent.Listen(d.t.Context())
	if err != nil {
		d.t.Fatal(err)
	}
	go http.Serve(listener, handler) //nolint:errcheck // ends with the listener
	return agent, listener.URL().String()
}

type dialerThere struct{ there *path.Namespace }

func (d dialerThere) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

func (d dialerThere) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = d.there.Do(func() (err error) {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// quantile is the time that the share of all took at most.
func quantile(times []time.Duration, share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}
