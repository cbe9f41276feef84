package policy_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

// Why a policy cannot be worked out for a request is in logs. It says where, and not what
// the policy's texts have become: that may be a secret.
func TestFailuresKeepSecrets(t *testing.T) {
	const (
		hidden = "only-for-us"
		secret = "${secrets.get('ops', 'token')}"
		first  = "on_http_request[0].actions[0] "
	)
	action := func(text string) string { return "actions: [{type: " + text + "}]" }
	for name, test := range map[string]struct{ rule, says string }{
		"an expression": {`expressions: ["int(secrets.get('ops', 'token')) > 5"], ` + action("deny"), "on_http_request[0].expressions[0], \"int("},
		"a text": {action(`custom-response, config: {body: "${int(secrets.get('ops', 'token'))}"}`),
			first + "(custom-response): a text cannot be filled in"},
		"a network":       {action(`restrict-ips, config: {allow: ["` + secret + `"]}`), first + "(restrict-ips): an item of allow or deny"},
		"a URL":           {action(`url-rewrite, config: {from: "^.*$", to: "https://a b%zz/` + secret + `"}`), first + "(url-rewrite): to has become"},
		"a URL's pattern": {action(`url-rewrite, config: {from: "(` + secret + `", to: "/"}`), first + "(url-rewrite): from has become"},
		"a pattern":       {action(`request-body-find-replace, config: {replacements: [{from: "(` + secret + `"}]}`), first + "(request-body-find-replace): from has become"},
		"a variable":      {action(`set-vars, config: {vars: [{a: "${int(secrets.get('ops', 'token'))}"}]}`), first + "(set-vars): the variable a"},
		"a call":          {action(`http-request, config: {url: "https://a b/` + secret + `", on_error: halt}`), "it is not a URL"},
		"credentials":     {action(`basic-auth, config: {credentials: ["` + secret + `"]}`), first + "(basic-auth): a credential"},
	} {
		t.Run(name, func(t *testing.T) {
			at := target(postern.HTTPS, false)
			program, err := policy.Compile("on_http_request: [{"+test.rule+"}]", at)
			if err != nil {
				t.Fatal(err)
			}
			world, err := trial.Surroundings{Secrets: map[string]map[string]postern.Secret{"ops": {"token": hidden}}}.World()
			if err != nil {
				t.Fatal(err)
			}
			got, err := trial.Run(t.Context(), program, at, world, trial.Case{Request: &trial.Request{
				Method: "POST", URL: "https://app.example.com/", Body: "x",
			}})
			if err != nil || got.Decision != "fail" || len(got.Steps) == 0 {
				t.Fatalf("%+v: %v", got, err)
			}
			text := got.Steps[len(got.Steps)-1].Err.Error()
			if !strings.Contains(text, test.says) || strings.Contains(text, hidden) {
				t.Error(text)
			}
		})
	}
}
