package policy_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/server/policy"
)

const denyAll = "on_http_request:\n- actions:\n  - type: deny\n    config: {status_code: 403}\n"

func TestShape(t *testing.T) {
	for name, test := range map[string]struct {
		text      string
		http, tcp bool // terminates
		fault     string
	}{
		"YAML":                {denyAll, true, false, ""},
		"JSON":                {`{"on_http_request":[{"actions":[{"type":"custom-response"}]}]}`, true, false, ""},
		"of a connection":     {"on_tcp_connect:\n- actions:\n  - type: close-connection", true, true, ""},
		"forwards":            {"on_tcp_connect:\n- actions:\n  - type: log\n  - type: forward-internal\n    config: {url: tcp://a.internal:1}", true, true, ""},
		"forwards, goes on":   {"on_tcp_connect:\n- actions:\n  - type: forward-internal\n    config: {url: x, on_error: continue}", false, false, ""},
		"old name":            {"inbound:\n- actions: [{type: deny}]", true, false, ""},
		"redirect":            {"on_http_request:\n- actions: [{type: redirect, config: {to: x}}]", false, false, ""},
		"conditional":         {"on_http_request:\n- expressions: [\"true\"]\n  actions: [{type: deny}]", false, false, ""},
		"last is conditional": {denyAll + "- expressions: [\"true\"]\n  actions: [{type: deny}]", false, false, ""},
		"conditional, then":   {"on_http_request:\n- name: a\n  expressions: [\"true\"]\n  actions: [{type: log}]\n- expressions: []\n  actions: [{type: deny}]", true, false, ""},
		"no phase":            {"{}", false, false, ""},
		"empty phase":         {"on_http_request:", false, false, ""},
		"response only":       {"on_http_response:\n- actions: [{type: custom-response}]", false, false, ""},

		"nothing":        {"", false, false, "a policy is an object"},
		"text":           {"deny", false, false, "a policy is an object"},
		"neither":        {"a: [", false, false, "neither YAML nor JSON"},
		"tabs":           {"on_http_request:\n\t- actions", false, false, "neither YAML nor JSON"},
		"unknown phase":  {"on_udp: []", false, false, `no phase "on_udp"`},
		"rules no list":  {"on_http_request: {}", false, false, "on_http_request must be a list"},
		"rule no object": {"on_http_request: [deny]", false, false, "on_http_request[0] must be an object"},
		"no actions":     {"on_http_request: [{name: x}]", false, false, "on_http_request[0].actions"},
		"actions empty":  {"on_http_request: [{actions: []}]", false, false, "on_http_request[0].actions"},
		"action no type": {"on_http_request: [{actions: [{config: {}}]}]", false, false, "actions[0].type"},
		"unknown field":  {"on_http_request: [{action: [{type: deny}]}]", false, false, `a field "action"`},
		"unknown in it":  {"on_http_request: [{actions: [{type: deny, configuration: {}}]}]", false, false, `"configuration"`},
		"config no map":  {"on_http_request: [{actions: [{type: deny, config: 1}]}]", false, false, "config must be an object"},
		"expression":     {"on_http_request: [{expressions: [1], actions: [{type: deny}]}]", false, false, "expressions must be a list of texts"},
		"name no text":   {"on_http_request: [{name: [], actions: [{type: deny}]}]", false, false, "name must be a text"},
		"alias":          {"on_http_request: &a\n- actions: [{type: deny}]\non_tcp_connect: *a", false, false, "line 1: anchors"},
		"deep":           {"on_http_request: " + strings.Repeat("[", 100), false, false, "nested deeper"},
		"deep along":     {"on_http_request: " + strings.Repeat("- ", 100), false, false, "nested deeper"},
		"large":          {strings.Repeat("#", 129<<10), false, false, "bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			shape, err := policy.ReadShape(test.text)
			if test.fault != "" {
				if err == nil || !strings.Contains(err.Error(), test.fault) {
					t.Fatalf("got %v, want %q", err, test.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if shape.Terminates(true) != test.http || shape.Terminates(false) != test.tcp {
				t.Errorf("terminates: %v for HTTP, %v for TCP", shape.Terminates(true), shape.Terminates(false))
			}
		})
	}
}

// No text makes the reader panic or takes it long; and JSON means the same as YAML.
func FuzzShape(f *testing.F) {
	for _, seed := range []string{denyAll, `{"on_tcp_connect":[{"actions":[{"type":"deny"}]}]}`, "a: *a", "- - - [{", "? [", "!!binary x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		began := time.Now()
		shape, err := policy.ReadShape(text)
		if took := time.Since(began); took > 5*time.Second {
			t.Fatalf("took %v", took)
		}
		var document any
		if err != nil || json.Unmarshal([]byte(text), &document) != nil {
			return
		}
		indented, _ := json.MarshalIndent(document, "", "  ")
		again, err := policy.ReadShape(string(indented))
		if err != nil || again.Terminates(true) != shape.Terminates(true) {
			t.Errorf("the same JSON, indented, is otherwise: %v", err)
		}
	})
}
