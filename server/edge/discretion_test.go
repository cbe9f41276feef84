package edge_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
)

// unreachableHosts answers nothing, in words that name whom it was to ask.
type unreachableHosts struct{}

// Do implements policy.Caller.
func (unreachableHosts) Do(_ context.Context, c outcall.Call) (*outcall.Answer, error) {
	return nil, postern.Errorf(postern.CodeOutcallFailed, "%s does not answer as it should", c.URL)
}

// What a policy says and whom it asks is told to its owner by the log, and to no visitor.
func TestPoliciesFailWithDiscretion(t *testing.T) {
	rules := map[string]string{
		"expression": `{expressions: ["'hidden' != '' && int(req.headers['x-n'][0]) > 5"], actions: [{type: deny}]}`,
		"text":       `{actions: [{type: set-vars, config: {vars: [{hidden: "${int(req.headers['x-n'][0])}"}]}}]}`,
		"rewrite":    `{actions: [{type: url-rewrite, config: {from: ".*", to: "http://hidden:x/"}}]}`,
		"list":       `{actions: [{type: restrict-ips, config: {ip_policies: [hidden]}}]}`,
		"call":       `{actions: [{type: http-request, config: {url: "https://hidden.example/", on_error: halt}}]}`,
		"keys": `{actions: [{type: jwt-validation, config: {issuer: {allow_list: [{value: us}]}, http: {tokens: [{type: jwt, method: header, name: x-token}]},
    jws: {allowed_algorithms: [EdDSA], keys: {sources: {additional_jkus: ["https://hidden.example/keys"]}}}}}]}`,
	}
	bothPaths(t, func(t *testing.T, path func(*config)) {
		var log lockedBuffer
		s := start(t, path, func(c *config) {
			c.Policy.Calls, c.Logger = unreachableHosts{}, slog.New(slog.NewTextHandler(&log, nil))
		})
		addr := s.upstream(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the request for %s has come through", r.Host) })
		for name, rule := range rules {
			hidden := "hidden" + name
			s.hold(name, addr, "on_http_request: ["+strings.ReplaceAll(rule, "hidden", hidden)+"]")
			for _, kind := range []string{"text/html", "text/plain", "application/json"} {
				r, text := get(t, s.client(), "https://"+name+"."+domain, func(r *http.Request) {
					r.Header = http.Header{"Accept": {kind}, "X-N": {"none"}, "X-Token": {unknownToken}}
				})
				if r.StatusCode < 400 || strings.Contains(text, hidden) {
					t.Errorf("%s: visitors are told %s %s", name, r.Status, text)
				}
			}
			why := hidden
			if name == "rewrite" { // what a text has become may be a secret
				why = "on_http_request[0].actions[0] (url-rewrite): to has become"
			}
			if told := log.String(); !strings.Contains(told, why) {
				t.Errorf("%s: the log does not say why: %s", name, told)
			}
		}
	})
}

// unknownToken is well-formed, and signed by nobody.
const unknownToken = "eyJhbGciOiJFZERTQSJ9.eyJpc3MiOiJ1cyJ9.AAAA"
