package e2e_test

import (
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/e2e/internal/program"
	"github.com/postern-dev/postern/resource"
)

// startLocalServer is startServer with a domain that programs find without DNS.
func startLocalServer(t *testing.T, extra ...string) *server {
	t.Helper()
	started, err := program.NewServer(posternBinary, "gateways.localhost", t.TempDir(), extra...)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Server: started, t: t, https: started.HTTPS, http: started.HTTP, admin: started.Admin}
	s.start()
	s.bootstrap()
	return s
}

// postern starts our own connector.
func (g *stage) postern(remotes ...string) *process {
	g.t.Helper()
	argv := append([]string{posternBinary, "connect", "--header", "token: " + g.token, g.Address}, remotes...)
	return startProcess(g.t, "postern connect", []string{"POSTERN_CONNECT_CAS=" + g.caFile, "SSL_CERT_FILE=" + g.caFile}, argv...)
}

// Our own connector speaks our own wire to our own server: what is narrowed stops alone, and
// a connection that is open lives on over a hand-over, of which nobody notices anything.
func TestOurConnectorAtOurGateway(t *testing.T) {
	s := startLocalServer(t)
	g := s.stage("stage")
	g.postern("R:8081:"+privateService(t, "one"), "R:8082:"+privateService(t, "two"), "R:5353:"+echoDatagrams(t)+"/udp")
	expectAnswer(t, g.at(8081), "one")
	expectAnswer(t, g.at(8082), "two")
	if now := g.live(); len(now.Connectors) != 1 || now.Connectors[0].Transport != "postern/1" || now.Connectors[0].Instance == "" {
		t.Errorf("connectors: %+v", now.Connectors)
	}

	held, err := net.Dial("tcp", g.at(8081))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	_ = held.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.ReadFull(held, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	old := s.upgrade()
	for range 20 {
		if name, err := ask(g.at(8081)); err != nil || name != "one" {
			t.Errorf("while connectors come over: %s, %v", name, err)
		}
	}
	g.connected(1)
	if _, err := held.Write([]byte("still")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(held, make([]byte, 5)); err != nil {
		t.Errorf("a connection did not live on over the hand-over: %v", err)
	}
	_ = held.Close()
	old.waitFor("connector left", 20*time.Second)

	ports := []string{"8082"}
	if _, err := client.For(s.api(), resource.PrivateGatewayTokens()).Update(t.Context(), g.Tokens[0].ID, resource.PrivateGatewayTokenUpdate{Ports: &ports}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, func() error {
		for _, e := range g.live().Endpoints {
			if e.Port != 8082 && len(e.Connectors) > 0 {
				return fmt.Errorf("port %d is offered", e.Port)
			}
		}
		return nil
	})
	expectAnswer(t, g.at(8082), "two")
}
