package api_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/geo"
	"github.com/postern-dev/postern/server/service"
)

const triedPolicy = `on_http_request:
- name: nothing is deleted
  expressions: ["req.method == 'DELETE'"]
  actions:
  - type: deny
    config: {status_code: 405}
- actions:
  - type: rate-limit
    config: {name: n, algorithm: sliding_window, capacity: 1, rate: 60s, bucket_key: [conn.client_ip]}
  - type: add-headers
    config: {headers: {x-hidden: value}}
`

// A policy is tried on requests: what would become of each, and how often rules count. A
// second run finds nothing that the first has counted.
func TestPolicyDryRun(t *testing.T) {
	w := newWorld(t)
	of := object{"traffic_policy": triedPolicy, "requests": []any{
		object{"method": "DELETE", "url": "https://app.example.com/users/7", "response": object{"status_code": 204}},
		object{"url": "https://app.example.com/", "client_ip": "198.51.100.9", "headers": object{"accept": []any{"*/*"}}, "at": "2031-01-01T00:00:00Z"},
		object{"url": "https://app.example.com/", "client_ip": "198.51.100.9", "at": "2031-01-01T00:00:30Z"},
	}}
	for range 2 {
		run := w.does(200, "POST", "/traffic_policies/dry_run", of)
		outcomes, _ := run["outcomes"].([]any)
		if len(outcomes) != 3 || run["answered"] != 2.0 || run["changed"] != 1.0 {
			t.Fatalf("%v", run)
		}
		var got []string
		for _, o := range outcomes {
			changes, _ := o.(object)["changes"].([]any)
			for _, change := range changes {
				got = append(got, change.(string))
			}
		}
		want := "the policy answers with 405; the service has answered with 204\n" +
			"the request's header X-Hidden is added\n" +
			"the policy answers with 429 (ERR_POSTERN_665); the service has answered with 200"
		if text := strings.Join(got, "\n"); text != want {
			t.Errorf("got\n%s\nwant\n%s", text, want)
		}
	}
}

// A dry run asks nobody, whatever the policy says, and is bounded.
func TestPolicyDryRunIsBounded(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.Access = new(access.Current) })
	one := object{"url": "https://app.example.com/"}
	refuse := func(status int, code postern.Code, of object) {
		t.Helper()
		w.refused(status, code, "POST", "/traffic_policies/dry_run", of)
	}
	many := make([]any, 101)
	for i := range many {
		many[i] = one
	}
	refuse(400, postern.CodeValueInvalid, object{"traffic_policy": triedPolicy, "requests": many})
	refuse(400, postern.CodeValueInvalid, object{"traffic_policy": triedPolicy, "requests": []any{}})
	refuse(400, postern.CodeValueInvalid, object{"traffic_policy": "", "requests": []any{one}})
	refuse(400, postern.CodeValueInvalid, object{"traffic_policy": triedPolicy, "scheme": "tcp", "requests": []any{one}})
	refuse(400, postern.CodeValueInvalid, object{"traffic_policy": triedPolicy, "requests": []any{object{"url": "/"}}})
	refuse(400, postern.CodeValueInvalid, object{"traffic_policy": triedPolicy, "requests": []any{object{"url": "https://a.example.com/", "client_ip": "here"}}})
	refuse(400, postern.CodePolicyActionUnknown, object{"traffic_policy": "on_http_request: [{actions: [{type: nosuch}]}]", "requests": []any{one}})
	refuse(413, postern.CodeBodyTooLarge, object{"traffic_policy": triedPolicy, "requests": []any{object{"url": "https://a.example.com/", "body": strings.Repeat("x", 256<<10)}}})
}

// The policy of a dry run has what a server would give it: the account's secrets, which
// are not shown, and places. Nobody is asked before that is wanted.
func TestPolicyDryRunHasTheServersWorld(t *testing.T) {
	asked := &askedServer{}
	var w *world
	w = newWorld(t, func(c *api.Config) {
		c.Policy = policy.World{
			Secret: func(ctx context.Context, account postern.AccountID, vault, name string) (postern.Secret, error) {
				return w.service.SecretValue(ctx, account, vault, name)
			},
			Places: everywhere{}, Calls: asked,
		}
	})
	const value = "s3cret-value"
	w.does(201, "POST", "/vaults", object{"name": "ops"})
	w.does(201, "POST", "/vault_secrets", object{"name": "token", "value": value, "vault_name": "ops"})
	of := object{"traffic_policy": `on_http_request:
- expressions: ["secrets.get('ops', 'token') == req.headers['x-token'][0]", "conn.geo.country_code == 'DE'"]
  actions:
  - type: http-request
    config: {url: "https://api.example.com/${secrets.get('ops', 'token')}?q=1"}
  - type: url-rewrite
    config: {from: /old, to: "/new/${secrets.get('ops', 'token')}"}
  - type: restrict-ips
    config: {allow: ["${secrets.get('ops', 'token')}"]}
- actions:
  - type: http-request
    config: {url: "https://api.example.com/plain?q=${req.method}"}
  - type: add-headers
    config: {headers: {x-status: "${actions.ngrok.http_request.res.status_code}"}}
`, "requests": []any{
		object{"url": "https://app.example.com/old", "headers": object{"x-token": []any{value}}},
		object{"url": "https://app.example.com/", "headers": object{"x-token": []any{"guess"}}},
	}}
	run := w.does(200, "POST", "/traffic_policies/dry_run", of)
	outcomes, _ := run["outcomes"].([]any)
	text := fmt.Sprint(outcomes)
	if strings.Contains(text, value) || strings.Contains(text, "q=") {
		t.Errorf("it shows what nobody is to see: %s", text)
	}
	if first := outcomes[0].(object); first["error_code"] != string(postern.CodePolicyFailed) || !strings.Contains(fmt.Sprint(first["calls"]), "GET a URL that is not shown") {
		t.Errorf("%v", first)
	}
	if second := outcomes[1].(object); fmt.Sprint(second["calls"]) != "[GET a URL that is not shown, for the policy has read secrets]" || second["decision"] != "continue" {
		t.Errorf("%v", second)
	}
	if len(asked.urls) > 0 {
		t.Errorf("it asks %q", asked.urls)
	}
	plain := object{"make_calls": true, "requests": of["requests"], "traffic_policy": `{"on_http_request": [{"actions": [{"type": "http-request", "config": {"url": "https://api.example.com/plain?q=1"}}]}, {"expressions": ["actions.ngrok.http_request.res.status_code == 200"], "actions": [{"type": "deny"}]}]}`}
	run = w.does(200, "POST", "/traffic_policies/dry_run", plain)
	outcomes, _ = run["outcomes"].([]any)
	if first := outcomes[0].(object); fmt.Sprint(first["calls"]) != "[GET https://api.example.com/plain]" || first["status_code"] != 403.0 || len(asked.urls) != 2 || asked.account != w.first.AccountID {
		t.Errorf("%v, asked %q for %s", first, asked.urls, asked.account)
	}
	plain["make_calls"] = false
	w.does(200, "POST", "/traffic_policies/dry_run", plain)
	if len(asked.urls) != 2 {
		t.Errorf("it asks %q", asked.urls)
	}

	// Who may only look finds out no secret, whichever way he comes, and has nobody asked.
	world := policy.World{Calls: asked, Secret: func(context.Context, postern.AccountID, string, string) (postern.Secret, error) { return value, nil }}
	reader := service.Caller{Account: w.first.AccountID, Role: postern.ReadOnly, Source: service.SourceServer}
	one := resource.PolicyDryRunOf{TrafficPolicy: of["traffic_policy"].(string), Requests: []resource.PolicyDryRunRequest{
		{URL: "https://app.example.com/", Headers: map[string][]string{"x-token": {value}}},
	}}
	found, err := w.service.DryRunPolicy(t.Context(), reader, one, world)
	if err != nil || found.Rules[0].Matched != 0 || found.Outcomes[0].Code == nil {
		t.Errorf("%+v: %v", found, err)
	}
	one.MakeCalls = true
	if _, err := w.service.DryRunPolicy(t.Context(), reader, one, world); !postern.HasCode(err, postern.CodeNotPermitted) {
		t.Errorf("a reader has others asked: %v", err)
	}
}

// askedServer answers whatever is asked, and remembers it.
type askedServer struct {
	urls    []string
	account postern.AccountID
}

// Do implements policy.Caller.
func (a *askedServer) Do(_ context.Context, call outcall.Call) (*outcall.Answer, error) {
	a.urls, a.account = append(a.urls, call.URL), call.Account
	return &outcall.Answer{Status: 200}, nil
}

// everywhere is one country.
type everywhere struct{}

func (everywhere) Place(netip.Addr) (at, registered geo.Place) {
	return geo.Place{CountryCode: "DE"}, geo.Place{}
}

func (everywhere) System(netip.Addr) geo.System { return geo.System{} }
