package e2e_test

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// ngrok's client knows no private gateways; ours takes them through their lives, and
// everything but the token is the same after the server was killed.
func TestPrivateGatewaysWithOurClient(t *testing.T) {
	s := startServer(t, "gateways: {listen_allow: [127.0.0.0/8, '127.0.0.33:80']}")
	gateways, tokens := client.For(s.api(), resource.PrivateGateways()), client.For(s.api(), resource.PrivateGatewayTokens())
	first, err := gateways.Create(t.Context(), resource.PrivateGatewayCreate{Name: "development"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := gateways.Create(t.Context(), resource.PrivateGatewayCreate{Name: "production", Listen: []string{"127.0.0.33"}, Ports: []string{"80", "8081"}})
	if err != nil {
		t.Fatal(err)
	}
	if first.Token == nil || second.Token == nil || *first.Token == *second.Token || first.Listen[0] == second.Listen[0] {
		t.Errorf("made %+v, %+v", first, second)
	}
	if !strings.HasPrefix(first.Address, "https://gateway."+string(domain)+":") || !strings.HasSuffix(first.Address, "/"+first.Path) {
		t.Errorf("the address is %q", first.Address)
	}
	// The address of its own is one that this machine has.
	listener, err := net.Listen("tcp", net.JoinHostPort(first.Listen[0], "0")) //nolint:noctx // a test
	if err != nil {
		t.Error(err)
	} else if err := listener.Close(); err != nil {
		t.Error(err)
	}
	_, err = gateways.Create(t.Context(), resource.PrivateGatewayCreate{Name: "third", Listen: []string{"127.0.0.34"}, Ports: []string{"80"}})
	if !postern.HasCode(err, postern.CodeGatewayListenRefused) {
		t.Errorf("a port that is not permitted: %v", err)
	}
	made, err := tokens.Create(t.Context(), resource.PrivateGatewayTokenCreate{GatewayID: second.ID, Ports: []string{"8081"}, Targets: []string{"*.corp.example:443"}})
	if err != nil || made.Token == nil {
		t.Fatalf("%+v, %v", made, err)
	}
	var rotated resource.PrivateGatewayToken
	path := resource.PrivateGatewayTokens().PathOf(made.ID) + "/rotate"
	if err := s.api().Call(t.Context(), http.MethodPost, path, resource.Rotation{}, &rotated); err != nil || rotated.Token == nil || *rotated.Token == *made.Token {
		t.Errorf("rotated %+v, %v", rotated, err)
	}
	s.restart()
	again, err := gateways.Get(t.Context(), second.ID)
	if err != nil || again.Token != nil || again.Address != second.Address || !slices.Equal(again.Listen, second.Listen) || len(again.Tokens) != 2 {
		t.Errorf("after a restart %+v, %v", again, err)
	}
	if err := gateways.Delete(t.Context(), second.ID); err != nil {
		t.Fatal(err)
	}
	_, err = tokens.Get(t.Context(), made.ID)
	if problem, is := errors.AsType[*postern.Error](err); !is || problem.Code != postern.CodeNotFound {
		t.Errorf("the token outlives its gateway: %v", err)
	}
}

// The command line has both, with their lists as flags that may be repeated.
func TestPrivateGatewaysOnTheCommandLine(t *testing.T) {
	t.Parallel()
	cli := newAPICLI(t)
	made := cli.object(cli.run("", "", "private-gateways", "create", "--name", "stage-1", "--ports", "8081", "--ports", "5353/udp", "--hold", "30"))
	id, _ := made["id"].(string)
	if ports, _ := made["ports"].([]any); !slices.Equal(ports, []any{"8081", "5353/udp"}) || made["hold"] != 30.0 || made["token"] == nil {
		t.Errorf("made %v", made)
	}
	if table := cli.run("", "", "private-gateways", "list", "--table"); !strings.Contains(table, id) || !strings.Contains(table, "stage-1") {
		t.Errorf("as a table:\n%s", table)
	}
	token := cli.object(cli.run("", "", "private-gateway-tokens", "create", "--gateway-id", id, "--targets", "10.0.0.0/8:*", "--expires-at", "2040-01-01T00:00:00Z"))
	tokenID, _ := token["id"].(string)
	if token["expires_at"] != "2040-01-01T00:00:00Z" {
		t.Errorf("made %v", token)
	}
	rotated := cli.object(cli.run("", "", "private-gateway-tokens", "rotate", tokenID, "--overlap", "0s"))
	if rotated["token"] == nil || rotated["token"] == token["token"] {
		t.Error("the token was not rotated")
	}
	cli.run("ERR_POSTERN_611", "", "private-gateway-tokens", "update", tokenID, "--targets", "db")
	cli.run("ERR_POSTERN_612", "", "private-gateways", "create", "--name", "stage-1")
	cli.run("", "", "private-gateways", "delete", id)
	cli.run("ERR_POSTERN_501", "", "private-gateway-tokens", "get", tokenID)
}
