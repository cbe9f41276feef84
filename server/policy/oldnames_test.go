package policy_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

// Policies of clients before there were phases are held to, in both spellings.
func TestOldNames(t *testing.T) {
	for name, text := range map[string]string{
		"of most SDKs": `{"inbound":[{"name":"in","expressions":["req.method == 'PUT'"],"actions":[{"type":"deny","config":{"status_code":410}}]}],
			"outbound":[{"name":"out","expressions":[],"actions":[{"type":"add-headers","config":{"headers":{"X-Type":"Config"}}}]}]}`,
		"of the old SDK for Rust": `{"Inbound":[{"Name":"in","Expressions":["req.method == 'PUT'"],"Actions":[{"Type":"deny","Config":{"status_code":410}}]}],
			"Outbound":[{"Name":"out","Expressions":[],"Actions":[{"Type":"add-headers","Config":{"headers":{"X-Type":"Config"}}}]}]}`,
	} {
		at := target(postern.HTTPS, false)
		program, err := policy.Compile(text, at)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if rules := program.Rules(); len(rules) != 2 || rules[0].Name != "in" || rules[1].Name != "out" {
			t.Errorf("%s: %v", name, rules)
		}
		for method, want := range map[string]trial.Outcome{
			"PUT": {Decision: "respond", Response: &trial.Response{Status: 410}},
			"GET": {Decision: "continue", Response: &trial.Response{Status: 200, Headers: map[string]trial.Values{"X-Type": {"Config"}}}},
		} {
			got, err := trial.Run(t.Context(), program, at, &policy.World{}, trial.Case{Request: &trial.Request{Method: method, URL: "https://app.example.com/"}})
			if err != nil {
				t.Fatal(err)
			}
			for _, miss := range got.Misses(&want) {
				t.Errorf("%s, %s: %s", name, method, miss)
			}
		}
	}
}

// What an old policy has in excess is not passed over.
func TestOldNamesInExcess(t *testing.T) {
	for text, fault := range map[string]string{
		`{"Inbound":[{"Actions":[{"Type":"deny"}],"actions":[{"type":"deny"}]}]}`:  "Actions: there is no such field",
		`{"Inbound":[{"Actions":[{"Type":"deny","type":"log"}]}]}`:                 "Type: there is no such field",
		`{"Inbound":[{"Actions":[{"Type":"deny","Config":{"Status_Code":410}}]}]}`: "Status_Code: there is no such field",
		`{"Inbound":[{"Name":"no action"}]}`:                                       "inbound[0].actions",
		`{"on_http_request":[{"Actions":[{"Type":"deny"}]}]}`:                      "Actions: there is no such field",
		`{"inbound":[{"actions":[{"Type":"deny"}]}]}`:                              "Type: there is no such field",
		`{"INBOUND":[]}`:                     `there is no phase "INBOUND"`,
		`{"Inbound":["deny"],"Outbound":{}}`: "inbound[0]: it must be an object",
		`{"Inbound":[{"Actions":[{"Type":"deny"}]}, {"Actions":[{"Type":"deny"}]}]}`: "inbound[1]: it is never reached",
	} {
		if _, err := policy.Compile(text, target(postern.HTTPS, false)); err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("%s: %v, want %q", text, err, fault)
		}
	}
	if _, err := policy.Compile(`{"Inbound":[]}`, target(postern.TCP, false)); err == nil || policy.Coded(err).Code != postern.CodePolicyPhaseProtocol {
		t.Errorf("of a tcp endpoint: %v", err)
	}
}
