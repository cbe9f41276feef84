package sessionmsg_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// What a connector says of its gateway arrives, but never whether its last hop was plain:
// that is not for it to say. An agent says nothing of the kind.
func TestHelloOfAConnector(t *testing.T) {
	for name, offered := range map[string][]string{"with extensions": {"drain"}, "without": nil} {
		t.Run(name, func(t *testing.T) {
			sent := link.Hello{Token: "token", Gateway: &link.GatewayHello{Gateway: "sg_1", Instance: "123456789", Plain: true}}
			raw, err := json.Marshal(sessionmsg.NewAuth(sent, offered))
			if err != nil {
				t.Fatal(err)
			}
			got := hello(t, raw)
			want := &link.GatewayHello{Gateway: "sg_1", Instance: "123456789"}
			if diff := cmp.Diff(want, got.Gateway); diff != "" || got.Token != postern.Secret("token") {
				t.Errorf("token %v, gateway (-want +got):\n%s", got.Token == "token", diff)
			}
		})
	}
	raw, err := json.Marshal(sessionmsg.NewAuth(link.Hello{Token: "token"}, []string{"drain"}))
	if err != nil {
		t.Fatal(err)
	}
	if got := hello(t, raw); got.Gateway != nil || strings.Contains(string(raw), "Gateway") {
		t.Errorf("an agent is taken for a connector: %s", raw)
	}
}

func hello(t *testing.T, raw []byte) link.Hello {
	t.Helper()
	var a sessionmsg.Auth
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatal(err)
	}
	h, err := a.Hello()
	if err != nil {
		t.Fatal(err)
	}
	return h
}
