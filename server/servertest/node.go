// Package servertest runs a whole server in a test's process, for tests of whatever
// meets one.
package servertest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server"
)

// patience is how long a server may take to start, or to answer.
const patience = 20 * time.Second

// Node is a server that runs. Its methods may be called from anywhere at once, but
// those that fail the test belong to the test's goroutine.
type Node struct {
	*server.Server
	t     *testing.T
	stop  context.CancelFunc
	ended chan struct{} // closed when Run has returned
	err   error         // what Run returned
}

// Development is the configuration of a server that stores what it has in a directory
// of the test, listens on loopback ports of its own and has none for TCP and UDP endpoints. Its
// names are below localhost.
func Development(t *testing.T) server.Config {
	t.Helper()
	c := OnLoopback(server.Development(t.TempDir()))
	c.Listen.TCPPorts, c.Listen.UDPPorts = server.PortRange{}, server.PortRange{}
	c.Timeouts.Drain = time.Second
	return c
}

// OnLoopback is c with loopback ports that nobody else has.
func OnLoopback(c server.Config) server.Config {
	c.Listen.HTTPS, c.Listen.HTTP, c.Listen.Admin = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	return c
}

// Start runs a server until the test ends or stops it, and returns once it is ready.
// Without a logger it logs to the test's output.
func Start(t *testing.T, c server.Config, options server.Options) *Node {
	t.Helper()
	if options.Logger == nil {
		options.Logger = testkit.Logger(t)
	}
	ready, told := make(chan struct{}), options.Ready
	options.Ready = func() {
		close(ready)
		if told != nil {
			told()
		}
	}
	s, err := server.New(c, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	n := &Node{Server: s, t: t, stop: stop, ended: make(chan struct{})}
	go n.run(ctx)
	t.Cleanup(n.Shutdown)
	select {
	case <-ready:
	case <-n.ended:
		t.Fatalf("the server ended with %v", n.err)
	case <-time.After(patience):
		t.Fatalf("the server is not ready after %v", patience)
	}
	return n
}

func (n *Node) run(ctx context.Context) {
	defer close(n.ended)
	n.err = n.Run(ctx)
}

// Stop asks the server to end, and does not wait for that.
func (n *Node) Stop() { n.stop() }

// Shutdown stops the server, waits for its end and wants it to be an orderly one. The
// end of the test calls it too; a second call does no harm.
func (n *Node) Shutdown() {
	n.stop()
	<-n.ended
	if n.err != nil {
		n.t.Errorf("the server ended with %v", n.err)
	}
}

// Keys makes the first account, and gives what goes with it.
func (n *Node) Keys() server.Keys {
	n.t.Helper()
	keys, err := n.Bootstrap(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	return keys
}

// Roots trusts the server's own CA and nobody else.
func (n *Node) Roots() *x509.CertPool {
	n.t.Helper()
	pem, err := os.ReadFile(n.CAFile())
	if err != nil {
		n.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		n.t.Fatalf("%s holds no certificate", n.CAFile())
	}
	return roots
}

// Visitor is a browser that trusts the server's CA, and finds every name at its https
// port.
func (n *Node) Visitor() *http.Client {
	n.t.Helper()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, n.HTTPSAddr().String())
		},
		TLSClientConfig:   &tls.Config{RootCAs: n.Roots()},
		ForceAttemptHTTP2: true,
	}
	n.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// Get fetches a page and gives its body whole; the answer's own has been read.
func Get(t *testing.T, client *http.Client, url string) (response *http.Response, body string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return response, string(text)
}
