package policy_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
)

const denyAll = "on_http_request:\n- actions:\n  - type: deny\n    config: {status_code: 403}\n"

func place(p policy.Problem) string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

func all(problems policy.Problems) (texts []string) {
	for _, p := range problems {
		texts = append(texts, string(p.Code)+" "+p.String())
	}
	return texts
}

func TestCompile(t *testing.T) {
	for name, test := range map[string]struct {
		text      string
		http, tcp bool // terminates
		fault     string
	}{
		"YAML":                {denyAll, true, false, ""},
		"JSON":                {`{"on_http_request":[{"actions":[{"type":"custom-response"}]}]}`, true, false, ""},
		"of a connection":     {"on_tcp_connect:\n- actions:\n  - type: close-connection", true, true, ""},
		"old name":            {"inbound:\n- actions: [{type: deny}]", true, false, ""},
		"old name of answers": {"outbound:\n- actions: [{type: custom-response}]", false, false, ""},
		"forward":             {"on_http_request:\n- actions: [{type: forward-internal, config: {url: x}}]", true, false, ""},
		"forward, halt":       {"on_http_request:\n- actions: [{type: forward-internal, config: {url: x, on_error: halt}}]", true, false, ""},
		"forward, continue":   {"on_http_request:\n- actions: [{type: forward-internal, config: {url: x, on_error: continue}}]", false, false, ""},
		"forward connections": {"on_tcp_connect:\n- actions: [{type: forward-internal, config: {url: x}}]", true, true, ""},
		"restrict":            {"on_http_request:\n- actions: [{type: restrict-ips, config: {allow: [192.0.2.1]}}]", false, false, ""},
		"behind a redirect":   {"on_http_request:\n- actions: [{type: redirect, config: {to: x}}, {type: deny}]", true, false, ""},
		"behind continue":     {"on_http_request:\n- actions: [{type: forward-internal, config: {url: x, on_error: continue}}, {type: deny}]", true, false, ""},
		"redirect":            {"on_http_request:\n- actions: [{type: redirect, config: {to: x}}]", false, false, ""},
		"conditional":         {"on_http_request:\n- expressions: [\"true\"]\n  actions: [{type: deny}]", false, false, ""},
		"last is conditional": {"on_http_request:\n- expressions: [\"true\"]\n  actions: [{type: deny}]\n- expressions: [\"true\"]\n  actions: [{type: deny}]", false, false, ""},
		"no phase":            {"{}", false, false, ""},
		"nothing":             {"", false, false, ""},
		"empty phase":         {"on_http_request:", false, false, ""},
		"response only":       {"on_http_response:\n- actions: [{type: custom-response}]", false, false, ""},

		"behind close":   {"on_http_request: [{actions: [{type: close-connection}, {type: deny}]}]", false, false, "actions[1]: it is never reached"},
		"behind answer":  {"on_http_request: [{actions: [{type: custom-response}, {type: deny}]}]", false, false, "actions[1]: it is never reached"},
		"behind forward": {"on_http_request: [{actions: [{type: forward-internal, config: {url: x}}]}, {actions: [{type: deny}]}]", false, false, "on_http_request[1]: it is never reached"},
		"text":           {"deny", false, false, "a policy is an object"},
		"neither":        {"a: [", false, false, "neither YAML nor JSON"},
		"tabs":           {"on_http_request:\n\t- actions", false, false, "line 2, column 1: it is neither YAML nor JSON: a line begins with a tab; write spaces"},
		"rule no object": {"on_http_request: [deny]", false, false, "on_http_request[0]: it must be an object"},
		"no actions":     {"on_http_request: [{name: x}]", false, false, "on_http_request[0].actions"},
		"actions empty":  {"on_http_request: [{actions: []}]", false, false, "on_http_request[0].actions"},
		"action no type": {"on_http_request: [{actions: [{config: {}}]}]", false, false, "actions[0].type"},
		"unknown field":  {"on_http_request: [{action: [{type: deny}]}]", false, false, "on_http_request[0].action"},
		"unknown in it":  {"on_http_request: [{actions: [{type: deny, configuration: {}}]}]", false, false, "configuration"},
		"config no map":  {"on_http_request: [{actions: [{type: deny, config: 1}]}]", false, false, "config: it must be an object"},
		"expression":     {"on_http_request: [{expressions: [1], actions: [{type: deny}]}]", false, false, "expressions[0]: it must be a text"},
		"name no text":   {"on_http_request: [{name: [], actions: [{type: deny}]}]", false, false, "name: it must be a text"},
		"alias":          {"on_http_request: &a\n- actions: [{type: deny}]\non_tcp_connect: *a", false, false, "line 1, column 18: anchors"},
		"twice":          {denyAll + denyAll, false, false, "line 5"},
		"twice in JSON":  {`{"on_http_request":[], "on_http_request":[]}`, false, false, "already defined"},
		"two documents":  {denyAll + "---\n" + denyAll, false, false, "second document"},
		"deep":           {"on_http_request: " + strings.Repeat("[", 100), false, false, "nested deeper"},
		"deep along":     {"on_http_request: " + strings.Repeat("- ", 100), false, false, "nested deeper"},
		"large":          {strings.Repeat("#", 129<<10), false, false, "bytes"},
		"too many rules": {"on_http_request: [" + strings.Repeat("{actions: [{type: log, config: {metadata: {}}}]},", 201) + "]", false, false, "201 rules"},
	} {
		t.Run(name, func(t *testing.T) {
			program, err := policy.Compile(test.text, policy.Target{Scheme: postern.HTTPS})
			if test.fault != "" {
				if err == nil || !strings.Contains(err.Error(), test.fault) {
					t.Fatalf("got %v, want %q", err, test.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			http, tcp := program.Terminates(policy.Target{Scheme: postern.HTTPS}), program.Terminates(policy.Target{Scheme: postern.TCP})
			if http != test.http || tcp != test.tcp {
				t.Errorf("terminates: %v for HTTP, %v for TCP", http, tcp)
			}
		})
	}
}

// What cannot be of an endpoint, or of a policy as a whole, is refused with a code of its own.
func TestPoliciesOfEndpoints(t *testing.T) {
	const (
		connect  = "on_tcp_connect: []"
		basic    = "{type: basic-auth, config: {credentials: [\"ann:12345678\"]}}"
		token    = "{type: jwt-validation, config: {issuer: {allow_list: [{value: i}]}, " + jwtTokens + ", " + jwtKeys + "}}"
		twoGates = "on_http_request: [{actions: [" + basic + ", " + token + "]}]"
	)
	internal := func(scheme postern.Scheme) policy.Target {
		at := target(scheme, false)
		at.Internal = true
		return at
	}
	for name, test := range map[string]struct {
		text string
		at   policy.Target
		code postern.Code // "" for none
	}{
		"connections of https":         {connect, target(postern.HTTPS, false), ""},
		"connections of http":          {connect, target(postern.HTTP, false), ""},
		"connections of tls":           {connect, target(postern.TLS, false), ""},
		"connections of internal tcp":  {connect, internal(postern.TCP), ""},
		"connections of internal http": {connect, internal(postern.HTTP), postern.CodePolicyInternalConnections},
		"of internal https":            {connect, internal(postern.HTTPS), postern.CodePolicyInternalConnections},
		"requests of tls":              {"on_http_request: []", target(postern.TLS, false), postern.CodePolicyPhaseProtocol},
		"answers of tcp":               {"on_http_response: []", target(postern.TCP, false), postern.CodePolicyPhaseProtocol},
		"events of tls":                {"on_event_stream_message: []", target(postern.TLS, false), postern.CodePolicyPhaseProtocol},
		"events of http":               {"on_event_stream_message: []", target(postern.HTTP, false), ""},
		"the end of a cloud endpoint":  {denyAll, target(postern.HTTPS, true), ""},
		"no end of a cloud endpoint":   {"on_http_request: [{actions: [{type: forward-internal, config: {url: x, on_error: continue}}]}]", target(postern.HTTPS, true), postern.CodePolicyNotTerminating},
		"a redirect is no end":         {"on_http_request: [{actions: [{type: redirect, config: {to: x}}]}]", target(postern.HTTPS, true), postern.CodePolicyNotTerminating},
		"two gates":                    {twoGates, target(postern.HTTPS, false), postern.CodePolicyTwoGates},
		"two gates, one for some":      {"on_http_request: [{expressions: [\"req.method == 'GET'\"], actions: [" + basic + "]}, {actions: [" + token + "]}]", target(postern.HTTPS, false), ""},
	} {
		_, err := policy.Compile(test.text, test.at)
		if (err == nil) != (test.code == "") || err != nil && policy.Coded(err).Code != test.code {
			t.Errorf("%s: %v, want %q", name, err, test.code)
		}
	}
}

// An endpoint that comes back with the same policy has the same program, and so its
// counters; another endpoint has its own.
func TestLibrary(t *testing.T) {
	library := policy.NewLibrary(policy.Editable{})
	compile := func(owner, text string) *policy.Program {
		p, err := library.Compile(owner, text, policy.Target{Scheme: postern.HTTPS})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	one := compile("a", denyAll)
	if compile("a", denyAll) != one {
		t.Error("the same policy was compiled twice")
	}
	if compile("b", denyAll) == one {
		t.Error("two endpoints share a program")
	}
	if other := compile("a", ""); other == one || other.Same(one) || !one.Same(compile("b", denyAll)) {
		t.Error("what is the same is not told right")
	}
}

// No text makes the compiler panic or takes it long; and JSON means the same as YAML.
func FuzzCompile(f *testing.F) {
	for _, seed := range []string{denyAll, `{"on_tcp_connect":[{"actions":[{"type":"deny"}]}]}`, "a: *a", "- - - [{", "? [", "!!binary x",
		"on_http_request:\n- expressions: [\"req.method == 'A'\"]\n  actions:\n  - type: custom-response\n    config: {body: \"${conn.client_ip}\"}\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		began := time.Now()
		program, err := policy.Compile(text, policy.Target{Scheme: postern.HTTPS})
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("took %v", took)
		}
		var document any
		if err != nil || json.Unmarshal([]byte(text), &document) != nil {
			return
		}
		indented, _ := json.MarshalIndent(document, "", "  ")
		again, err := policy.Compile(string(indented), policy.Target{Scheme: postern.HTTPS})
		if err != nil || again.Needs() != program.Needs() {
			t.Errorf("the same JSON, indented, is otherwise: %v", err)
		}
	})
}
