package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
)

// What lets more in than somebody may think is taken, and warned of where it stands.
func TestGateWarns(t *testing.T) {
	for config, want := range map[string][]string{
		`{credentials: ["demo:secret00"]}`:                                           nil,
		`{credentials: ["demo:secret00"], grant_address: 8h}`:                        {"line 4, column 61: on_http_request[0].actions[0].config.grant_address: everybody behind"},
		`{credentials: ["demo:secret", "ann:correct horse"], short_passwords: true}`: {"line 4, column 28: on_http_request[0].actions[0].config.credentials: the password of \"demo\" has 6 characters"},
	} {
		program, err := policy.Compile("on_http_request:\n- actions:\n  - type: basic-auth\n    config: "+config+"\n", policy.Target{Scheme: postern.HTTPS})
		if err != nil {
			t.Errorf("%s: %v", config, err)
			continue
		}
		if got := program.Warnings(); len(got) != len(want) || !slices.EqualFunc(got, want, func(p policy.Problem, w string) bool { return strings.HasPrefix(p.String(), w) }) {
			t.Errorf("%s: %v", config, got)
		}
	}
}
