package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
)

// A policy that goes by what this server never knows is warned, wherever it names it, and
// may ask whether it is known.
func TestUnknownVariablesAreWarnedOf(t *testing.T) {
	deny := func(expression string) string {
		return "on_http_request:\n- expressions: [\"" + expression + "\"]\n  actions: [{type: deny}]\n"
	}
	doing := func(action string) string { return "on_http_request:\n- actions: [{type: " + action + "}]\n" }
	for text, want := range map[string][]string{
		deny("conn.client_ip.is_tor_node"):                                         {"line 2, column 17: on_http_request[0].expressions[0]: this server never knows conn.client_ip.is_tor_node"},
		deny("conn.client_ip.is_on_blocklist || 'x' in conn.client_ip.categories"): {"never knows conn.client_ip.is_on_blocklist", "never knows conn.client_ip.categories"},
		deny("conn.k8s.pod.id == conn.k8s.pod.metadata.name"):                      {"never knows conn.k8s:"},
		deny("has(conn.k8s)"):                                                      nil,
		deny("conn.geo.country_code == 'DE' && req.trailers.size() == 0"):          {"never knows req.trailers"},
		doing("add-headers, config: {headers: {x: '${conn.tls.server.pem}'}}"):     {"on_http_request[0].actions[0].config.headers: this server never knows conn.tls.server:"},
		doing("set-vars, config: {vars: [{x: ['${conn.ts.end}']}]}"):               {"config.vars: this server never knows conn.ts.end:"},
		doing("redirect, config: {from: '${conn.tls.ja4_fingerprint}', to: x}"):    {"config.from: this server never knows conn.tls.ja4_fingerprint:"},
		doing("rate-limit, config: {name: x, algorithm: sliding_window, capacity: 1, rate: 60s, bucket_key: [conn.server_ip.is_tor_node]}"):       {"config.bucket_key: this server never knows conn.server_ip.is_tor_node:"},
		doing("http-request, config: {url: 'https://a.example/', retry_condition: 'req.ts.body_received < timestamp(time.now) && attempts < 2'}"): {"config.retry_condition: this server never knows req.ts.body_received:"},
	} {
		program, err := policy.Compile(text, target(postern.HTTPS, false))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := program.Warnings()
		if len(got) != len(want) || !slices.EqualFunc(got, want, func(p policy.Problem, w string) bool { return strings.Contains(p.String(), w) }) {
			t.Errorf("%s: %v", text, got)
		}
	}
	many, err := policy.Compile("on_http_request:\n- actions: [{type: deny}]\n  expressions: ["+strings.Repeat("conn.client_ip.is_tor_node,", 50)+"]\n", target(postern.HTTPS, false))
	if err != nil || len(many.Warnings()) != 20 {
		t.Errorf("of fifty: %d, %v", len(many.Warnings()), err)
	}
}

// What a server does not know for want of a setting is warned of by the same server, and by
// none that has it.
func TestUnsetVariablesAreWarnedOf(t *testing.T) {
	const text = "on_http_request:\n- expressions: [\"!(conn.client_ip.geo.location.country_code in ['DE'])\"]\n  actions: [{type: deny}]\n"
	for want, library := range map[string]*policy.Library{
		"": policy.NewLibrary(policy.Editable{}),
		"line 2, column 17: on_http_request[0].expressions[0]: there is no map, so this server does not know conn.client_ip.geo: an expression that needs it counts as false, and in a text it is empty": policy.NewLibrary(policy.Editable{},
			policy.Unset{Names: []string{"conn.client_ip.geo"}, Why: "there is no map"}),
	} {
		program, err := library.Compile("owner", text, target(postern.HTTPS, false))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, warning := range program.Warnings() {
			got += warning.String()
		}
		if got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
