package server_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/server"
)

// Behind a load balancer: the header is required of everybody, and only the
// balancer is believed.
func TestProxyProtocolInFront(t *testing.T) {
	c := testConfig(t)
	c.ProxyProtocol = []string{"https"}
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	c.Listen.Agent = "127.0.0.1:0" // without the header, beside it
	n := start(t, c, server.Options{})
	client := connect(t, n, n.AgentAddr(), link.Hello{Token: postern.Secret(n.Keys().Authtoken)})
	asked := link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS}}
	bound, err := client.Bind(t.Context(), asked)
	if err != nil {
		t.Fatal(err)
	}
	go serve(client, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	}))
	visit := func(header string) (string, error) {
		transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: n.Roots()},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				conn, err := (&net.Dialer{}).DialContext(ctx, network, n.HTTPSAddr().String())
				if err == nil {
					_, err = io.WriteString(conn, header)
				}
				return conn, err
			}}
		response, err := (&http.Client{Transport: transport}).Get(bound.PublicURL)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	if got, err := visit("PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"); err != nil || got != "203.0.113.7" {
		t.Errorf("with the header the app sees %q, %v", got, err)
	}
	if got, err := visit(""); err == nil {
		t.Errorf("without the header the visitor got %q", got)
	}
}

func connect(t *testing.T, n *node, addr netip.AddrPort, hello link.Hello) *native.Client {
	t.Helper()
	config := &tls.Config{RootCAs: n.Roots(), ServerName: "connect." + domain, NextProtos: []string{native.ALPN}, MinVersion: tls.VersionTLS13}
	conn, err := tls.Dial("tcp", addr.String(), config)
	if err != nil {
		t.Fatal(err)
	}
	client, _, err := native.Connect(t.Context(), conn, native.ClientConfig{Hello: hello, Logger: testkit.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(postern.Errorf(postern.CodeLinkLost, "the test is over")) })
	return client
}

// The ports that people type are the configured ones; names are below the
// endpoints' domain; listeners can be switched off.
func TestPublicFace(t *testing.T) {
	c := testConfig(t)
	c.Public = server.Public{HTTPS: 443}
	c.EndpointsDomain = "apps.example"
	c.Listen.HTTP, c.Listen.TCPPorts = "", server.PortRange{}
	n := start(t, c, server.Options{})
	client, _ := n.agent(link.Hello{Token: postern.Secret(n.Keys().Authtoken)})
	bound := n.online(client, "https://", "x")
	if !strings.HasSuffix(bound.PublicURL, ".apps.example") {
		t.Errorf("public URL %s", bound.PublicURL)
	}
	if status, body := n.get(n.Visitor(), bound.PublicURL); status != http.StatusOK || body != "x" {
		t.Errorf("got %d %q", status, body)
	}
	if n.HTTPAddr().IsValid() {
		t.Errorf("http listens on %s", n.HTTPAddr())
	}
	for _, scheme := range []postern.Scheme{postern.HTTP, postern.TCP} {
		_, err := client.Bind(t.Context(), link.BindRequest{URL: postern.URLRequest{Scheme: scheme}})
		if !postern.HasCode(err, postern.CodeOptionUnsupported) {
			t.Errorf("%s endpoint without a listener: %v", scheme, err)
		}
	}
}

// A visitor of nobody's name, and of a port that is open to nobody, gets an answer
// and no other's page.
func TestNobodysName(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	status, body := n.get(n.Visitor(), "https://nobody."+domain)
	if status != http.StatusNotFound || !strings.Contains(body, string(postern.CodeEndpointOffline)) {
		t.Errorf("got %d %.200q", status, body)
	}
	if _, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", n.config.Listen.TCPPorts.First)); err == nil {
		t.Error("a TCP port without an endpoint is open")
	}
}
