package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

// What variables hold together is bounded, whatever is in them and in whichever phase they
// are set. One that is set again counts as what it is then.
func TestVariablesHoldSoMuch(t *testing.T) {
	set := func(phase string, n, distinct int, name, value string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = "{" + name + fmt.Sprint(i%distinct) + ": \"" + value + "\"}"
		}
		return phase + ": [{actions: [{type: set-vars, config: {vars: [" + strings.Join(all, ", ") + "]}}]}]\n"
	}
	const numbers, texts = "${lists.range(9999)}", "${[1, 2, 3, 4].map(i, req.url.raw + string(i))}"
	at := target(postern.HTTPS, false)
	for name, test := range map[string]struct {
		text  string
		fails bool
	}{
		"few numbers":         {set("on_http_request", 6, 100, "v", numbers), false},
		"many numbers":        {set("on_http_request", 7, 100, "v", numbers), true},
		"few texts":           {set("on_http_request", 80, 100, "v", "${req.url.raw}"), false},
		"many texts":          {set("on_http_request", 40, 100, "v", texts), true},
		"in an object":        {set("on_http_request", 7, 100, "v", "${{'a': {'b': lists.range(9990)}}}"), true},
		"one again and again": {set("on_http_request", 50, 1, "v", numbers), false},
		"of two phases":       {set("on_tcp_connect", 6, 100, "v", numbers) + set("on_http_request", 6, 100, "w", numbers), true},
		"of an answer":        {set("on_http_request", 6, 100, "v", numbers) + set("on_http_response", 6, 100, "w", numbers), true},
	} {
		program, err := policy.Compile(test.text, at)
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := trial.Run(t.Context(), program, at, &policy.World{}, trial.Case{Request: &trial.Request{URL: "https://app.example.com/" + strings.Repeat("x", 8000)}})
		if err != nil {
			t.Fatal(name, err)
		}
		if failed := got.Decision == "fail"; failed != test.fails {
			t.Errorf("%s: %s %v", name, got.Decision, got.Steps[len(got.Steps)-1].Err)
		}
	}
}
