package api_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/api"
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
