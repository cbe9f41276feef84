package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/e2e/internal/program"
	"github.com/postern-dev/postern/internal/testkit/path"
	"github.com/postern-dev/postern/resource"
)

// realConnector names a binary of the real outsystemscc, which the registries do not
// have: with it these tests run that program as well.
const realConnector = "POSTERN_TEST_OUTSYSTEMSCC"

// sites is a cloud and a private network, with a server between them that both reach;
// they do not reach each other.
type sites struct {
	*server
	apps, private *place
	gateway       resource.PrivateGateway
	certificate   string // the file of ca
}

// newSites makes them, in a network namespace of the test's own, with a gateway whose
// ports open where the apps are.
func newSites(t *testing.T) *sites {
	t.Helper()
	apps := newPlace(t, "apps", "10.1.0.1/24", "10.1.0.2/24")
	private := newPlace(t, "private", "10.2.0.1/24", "10.2.0.2/24")
	s := newServer(t)
	s.Address = "0.0.0.0"
	if err := s.Configure("gateways:", "  listen_allow: [10.1.0.1]"); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.bootstrap()
	apps.names("10.1.0.1 secure-gateway")
	private.names("10.2.0.1 gateway." + domain)
	gateway, err := client.For(s.api(), resource.PrivateGateways()).Create(t.Context(),
		resource.PrivateGatewayCreate{Name: "production", Listen: []string{"10.1.0.1"}})
	if err != nil || gateway.Token == nil {
		t.Fatal(gateway, err)
	}
	return &sites{server: s, apps: apps, private: private, gateway: gateway}
}

// connector starts a program as an ordinary user of the private network.
type connector func(t *testing.T, s *sites, remotes ...string) *process

// ca copies the server's root certificate to where everybody in the place can read it.
func (s *sites) ca() string {
	s.t.Helper()
	if s.certificate != "" {
		return s.certificate // a program that has just begun may be reading it
	}
	pem, err := os.ReadFile(s.caFile)
	if err != nil {
		s.t.Fatal(err)
	}
	s.certificate = s.private.file("ca.pem", string(pem))
	return s.certificate
}

// outsystemscc runs a binary as the README of the Cloud Connector says. It may be ours
// under that name.
func outsystemscc(binary string) connector {
	return func(t *testing.T, s *sites, remotes ...string) *process {
		argv := append([]string{binary, "--header", "token: " + *s.gateway.Token, s.gateway.Address}, remotes...)
		return startProcess(t, "connector", []string{"SSL_CERT_FILE=" + s.ca(), "POSTERN_CONNECT_CAS=" + s.ca()}, s.private.as("nobody", argv...)...)
	}
}

func chiselClient(t *testing.T, s *sites, remotes ...string) *process {
	return startChisel(t, chiselOrders{Server: s.gateway.Address, Remotes: remotes, CA: s.ca(),
		Headers: map[string]string{"token": *s.gateway.Token}}, s.private.as("nobody")...)
}

// connectors are the programs that these tests run as connectors.
func connectors(t *testing.T) map[string]connector {
	t.Helper()
	dir, err := os.MkdirTemp("", "postern-connector-") // open to ordinary users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "outsystemscc")
	if err := program.Copy(posternBinary, link); err != nil {
		t.Fatal(err)
	}
	all := map[string]connector{"Postern": outsystemscc(link), "Chisel": chiselClient}
	if binary := os.Getenv(realConnector); binary != "" {
		all["OutSystems"] = outsystemscc(binary)
	}
	return all
}

// S4-5, S4-13, S4-21, S4-25…S4-29, S0-5, S3-10: apps in one network use what a network
// that they cannot reach has, at secure-gateway and a port, through a connector that an
// ordinary user runs there, in one process or several.
func TestPrivateServices(t *testing.T) {
	if !path.Isolate(t) {
		return
	}
	s := newSites(t)
	startPrivateServices(t, s.private)
	var remotes []string
	datagrams := []string{fmt.Sprintf("R:8053:%s:53/udp", inside), fmt.Sprintf("R:5201:%s:5201/udp", inside)}
	for port, app := range applications() {
		remotes = append(remotes, fmt.Sprintf("R:%d:%s:%d", app.port, inside, port))
	}
	for name, start := range connectors(t) {
		t.Run(name, func(t *testing.T) {
			// The real program takes one remote of a port number; a second instance brings
			// the UDP ports.
			one, two := start(t, s, remotes...), start(t, s, datagrams...)
			s.offered(t, len(remotes)+len(datagrams))
			for _, app := range applications() {
				t.Run(app.name, func(t *testing.T) { app.use(t, s.apps.of(t), "secure-gateway", app.port) })
			}
			kill(one)
			kill(two)
			s.offered(t, 0)
		})
	}
	delivered(t, s.private)
}

// offered waits until connectors offer so many endpoints, and those over TCP have been
// found healthy.
func (s *sites) offered(t *testing.T, n int) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		gateway, err := client.For(s.api(), resource.PrivateGateways()).Get(t.Context(), s.gateway.ID)
		if err != nil {
			return err
		}
		open := 0
		for _, endpoint := range gateway.Endpoints {
			probed := endpoint.Network == "udp" || endpoint.Healthy != nil && *endpoint.Healthy
			if endpoint.Open && len(endpoint.Connectors) > 0 && probed {
				open++
			}
		}
		if open != n {
			return fmt.Errorf("%d endpoints are offered, not %d: %+v", open, n, gateway.Endpoints)
		}
		return nil
	})
}
