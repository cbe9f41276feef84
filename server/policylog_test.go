package server_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

// What policies log is a record of the server's log under a name of its own, which says
// whose it is and which request it was, as the access log does; values have bounds. What
// may not be meant in the policy of a cloud endpoint is warned of.
func TestPoliciesLog(t *testing.T) {
	logs := new(record)
	c := testConfig(t)
	c.AccessLog = "stdout"
	n := start(t, c, server.Options{Logger: slog.New(obs.NewHandler(logs, obs.JSON, slog.LevelInfo)), Stdout: logs})
	keys := n.Keys()
	client, _ := n.agent(link.Hello{Token: postern.Secret(keys.Authtoken)})
	go serve(client, http.HandlerFunc(hello))
	p := &policed{n, client}
	url, id := p.bound("logging", `
on_tcp_connect:
- actions:
  - type: log
    config: {metadata: {port: "${conn.server_port}"}}
on_http_request:
- name: who comes
  actions:
  - type: log
    config: {metadata: {agent: "${req.headers['x-agent'][0]}", none: "${req.headers['x-none'][0]}"}}
`)
	for _, version := range []int{1, 2} {
		p.visit(version, url, http.Header{"X-Agent": {strings.Repeat("é", 3000)}})
	}
	owner := service.Caller{Account: postern.AccountID(keys.AccountID), Role: postern.Owner, Source: service.SourceServer}
	if _, err := n.Service().Endpoints().Create(t.Context(), owner, resource.EndpointCreate{Type: "cloud", URL: "https://warned.internal", TrafficPolicy: `
on_http_request:
- actions:
  - type: basic-auth
    config: {credentials: ["ann:correct horse"], grant_address: 8h}
  - type: custom-response
`}); err != nil {
		t.Fatal(err)
	}
	p.eventually("the policy of the cloud endpoint is warned of", func() error {
		if text := logs.String(); !strings.Contains(text, `"endpoint":"https://warned.internal"`) || !strings.Contains(text, "everybody behind an address") {
			return fmt.Errorf("nobody is warned")
		}
		return nil
	})
	p.eventually("both requests are in both logs", func() error {
		var asked, logged []string
		for line := range strings.Lines(logs.String()) {
			var r struct {
				Msg, Endpoint, Account, Phase, Rule, Client, Level string
				EndpointID                                         postern.EndpointID `json:"endpoint_id"`
				RuleName                                           string             `json:"rule_name"`
				RequestID                                          string             `json:"request_id"`
				Connection                                         uint64
				Metadata                                           map[string]string
			}
			if json.Unmarshal([]byte(line), &r) != nil {
				continue
			}
			switch {
			case r.Msg == "request":
				asked = append(asked, r.RequestID)
			case r.Msg == "traffic_policy.logs" && (r.EndpointID != id || r.Account == "" || !strings.HasPrefix(r.Endpoint, url) || r.Client != "127.0.0.1" || r.Connection == 0):
				return fmt.Errorf("a record is %s", line)
			case r.Msg == "traffic_policy.logs" && r.Phase == "on_http_request":
				logged = append(logged, r.RequestID)
				if r.Rule != "on_http_request[0]" || r.RuleName != "who comes" || len(r.Metadata["agent"]) > 1100 || !strings.HasPrefix(r.Metadata["agent"], "ééé") || r.Metadata["none"] != "" {
					return fmt.Errorf("a record is %s", line)
				}
			}
		}
		slices.Sort(asked)
		slices.Sort(logged)
		if len(asked) != 2 || !slices.Equal(asked, logged) {
			return fmt.Errorf("requests %q, records of %q", asked, logged)
		}
		return nil
	})
}
