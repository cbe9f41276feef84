package policy_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
)

// A mistake is told once, at its own place, whatever else is wrong.
func TestMistakesAreToldOnce(t *testing.T) {
	const gate = "{type: basic-auth, config: {credentials: ['ann:correct horse']"
	for name, test := range map[string]struct {
		text string
		want []string // nil: it can be used
	}{
		"a strategy, beside authorities": {"on_tcp_connect: [{actions: [{type: terminate-tls, config: {mutual_tls_verification_strategy: verify, mutual_tls_certificate_authorities: [ca_1]}}]}]",
			[]string{"mutual_tls_verification_strategy: it is \"verify\""}},
		"a grant that is too long": {"on_http_request: [{actions: [" + gate + ", grant_address: 48h}}]}]",
			[]string{"grant_address: it is \"48h\"; it must be from 1m0s to 24h0m0s, such as 1m0s"}},
		"a rate behind another mistake": {"on_http_request: [{actions: [{type: add-headers, config: {headers: 1}}, {type: rate-limit, config: {name: x, algorithm: sliding_window, capacity: 1, rate: 65s, bucket_key: []}}]}]",
			[]string{"headers: it must be an object", "rate: rate is 1m5s"}},
		"two gates":                     {"on_http_request: [{actions: [" + gate + "}}, " + gate + "}}]}]", []string{"on_http_request[0].actions[1]: it asks every visitor to sign in, as on_http_request[0].actions[0] does"}},
		"two gates, one of them let go": {"on_http_request: [{actions: [" + gate + "}}, " + gate + ", enforce: false}}]}]", nil},
		"expressions by another name": {"on_http_request: [{expression: [x], actions: [{type: deny}]}, {actions: [{type: denny}]}]",
			[]string{"on_http_request[0].expression: there is no such field", "on_http_request[1].actions[0].type: there is no action"}},
		"a text that is too long": {"# " + strings.Repeat("x", policy.MaxText), []string{"it has more than 131072 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := policy.Compile(test.text, target(postern.HTTPS, false))
			problems, _ := err.(policy.Problems)
			got := all(problems)
			if len(got) != len(test.want) {
				t.Fatalf("%q", got)
			}
			for i, want := range test.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("%q is not %q", got[i], want)
				}
			}
		})
	}
}

// A text that names a group which its pattern does not have loses what was meant, and the
// one who wrote it is warned.
func TestGroupsThatThereAreNot(t *testing.T) {
	for to, want := range map[string]string{
		"/$1/$2/$id/$$3/$0": "",
		"/$2x":              `from has no group "2x", so nothing takes the place of $2x`,
		"/$4":               `from has no group "4"`,
		"/$other":           `from has no group "other"`,
		"/${req.method}$1":  "",
	} {
		for _, kind := range []string{"url-rewrite", "redirect"} {
			program, err := policy.Compile("on_http_request: [{actions: [{type: "+kind+", config: {from: '/(a)/(b)/(?P<id>c)', to: '"+to+"'}}]}]", target(postern.HTTPS, false))
			if err != nil {
				t.Fatal(err)
			}
			warnings := program.Warnings()
			if len(warnings) > 1 || (len(warnings) == 0) != (want == "") || want != "" && (!strings.Contains(warnings[0].Message, want) || warnings[0].Where != "on_http_request[0].actions[0].config.to") {
				t.Errorf("%s to %s: %v", kind, to, warnings)
			}
		}
	}
}

// A policy beside an option that asks visitors to sign in is told of that option.
func TestGateBesideOption(t *testing.T) {
	before, err := policy.OfOptions(options(t, `{"BasicAuth": {"credentials": [{"username": "ann", "cleartext_password": "correct horse"}]}}`), postern.HTTPS)
	if err != nil {
		t.Fatal(err)
	}
	at := target(postern.HTTPS, false)
	at.Before = before
	_, err = policy.Compile("on_http_request: [{actions: [{type: basic-auth, config: {credentials: ['bob:correct horse']}}]}]", at)
	if text := policy.Coded(err).Error(); !strings.Contains(text, "on_http_request[0].actions[0]: it asks every visitor to sign in, as an option of the endpoint does; one can (ERR_NGROK_2239)") {
		t.Error(text)
	}
}
