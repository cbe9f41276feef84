package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/servertest"
)

const domain = "postern.test"

// node is a server that runs in the test's process, with a data directory and
// loopback ports of its own.
type node struct {
	*servertest.Node
	t      *testing.T
	config server.Config
}

func testConfig(t *testing.T) server.Config {
	t.Helper()
	c := servertest.OnLoopback(server.Default())
	c.Domain = domain
	c.DataDir = filepath.Join(t.TempDir(), "data")
	c.Listen.TCPPorts = freePorts(t, 4)
	return c
}

// freePorts are neighbouring ports of 127.0.0.1 that nobody else uses during the test.
func freePorts(t *testing.T, n int) server.PortRange {
	t.Helper()
	first := ports.For(t, n).First
	return server.PortRange{First: uint16(first), Last: uint16(first + n - 1)}
}

// start runs a node until the test ends or stops it.
func start(t *testing.T, c server.Config, options server.Options) *node {
	t.Helper()
	return &node{servertest.Start(t, c, options), t, c}
}

// eventually asks until check is content, for what has no event to wait for.
func (n *node) eventually(what string, check func() error) {
	n.t.Helper()
	limit := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-limit:
			n.t.Fatalf("%s: %v", what, err)
		case <-tick.C:
		}
	}
}

func (n *node) admin(path string) (int, string) {
	n.t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Get("http://" + n.AdminAddr().String() + path)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func (n *node) get(client *http.Client, url string) (int, string) {
	n.t.Helper()
	response, body := servertest.Get(n.t, client, url)
	return response.StatusCode, body
}

// agent connects over the native wire, by address, as the SDKs may.
func (n *node) agent(hello link.Hello) (*native.Client, link.Welcome) {
	n.t.Helper()
	client, welcome, err := n.tryAgent(hello)
	if err != nil {
		n.t.Fatalf("Connect: %v", err)
	}
	return client, welcome
}

func (n *node) tryAgent(hello link.Hello) (*native.Client, link.Welcome, error) {
	config := &tls.Config{RootCAs: n.Roots(), ServerName: "127.0.0.1", NextProtos: []string{native.ALPN}, MinVersion: tls.VersionTLS13}
	conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), config)
	if err != nil {
		n.t.Fatal(err)
	}
	client, welcome, err := native.Connect(n.t.Context(), conn, native.ClientConfig{Hello: hello, Logger: testkit.Logger(n.t)})
	if err == nil {
		n.t.Cleanup(func() { client.Close(postern.Errorf(postern.CodeLinkLost, "the test is over")) })
	}
	return client, welcome, err
}

// serve answers every stream of the client as a web server would, until it ends.
func serve(client *native.Client, handler http.Handler) {
	ln := &streams{client: client}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	_ = s.Serve(ln) // ends with the client
}

// streams makes a listener of a client.
type streams struct{ client *native.Client }

func (s *streams) Accept() (net.Conn, error) {
	_, stream, err := s.client.Accept(context.Background())
	if err != nil {
		return nil, errors.Join(net.ErrClosed, err)
	}
	return stream, nil
}

func (s *streams) Close() error   { return nil }
func (s *streams) Addr() net.Addr { return &net.TCPAddr{} }

func page(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

// online binds and serves a page, and gives its URL without the port of the test.
func (n *node) online(client *native.Client, url, text string) link.Bound {
	n.t.Helper()
	asked, err := postern.ParseURLRequest(url, postern.HTTPS)
	if err != nil {
		n.t.Fatal(err)
	}
	bound, err := client.Bind(n.t.Context(), link.BindRequest{URL: asked})
	if err != nil {
		n.t.Fatalf("Bind: %v", err)
	}
	go serve(client, page(text))
	return bound
}
