package tunnel_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/tunnel"
)

// node is a real server on loopback.
type node struct {
	*server.Server
	options tunnel.Options // the way to it
	roots   *x509.CertPool
}

func newNode(t *testing.T) *node {
	t.Helper()
	c := server.Development(t.TempDir())
	c.Listen.HTTPS, c.Listen.HTTP, c.Listen.Admin = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Listen.TCPPorts = server.PortRange{}
	c.Timeouts.Drain = time.Second
	s, err := server.New(c, server.Options{Logger: testkit.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := s.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(s.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	return &node{s, tunnel.Options{
		Server:    fmt.Sprintf("connect.localhost:%d", s.HTTPSAddr().Port()),
		Authtoken: keys.Authtoken,
		Roots:     roots,
		Drain:     time.Second,
		Logger:    testkit.Logger(t),
	}, roots}
}

// visitor is a browser that trusts the server's CA.
func (n *node) visitor(t *testing.T) *http.Client {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: n.roots},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return new(dial.Dialer).Dial(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
