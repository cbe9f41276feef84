package config_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// S1-40, S1-44: bodies that people and wrappers send.
func TestParseTunnel(t *testing.T) {
	e, warnings, err := config.ParseTunnel([]byte(`{"name":"passthrough","proto":"tls","terminate_at":"agent","addr":"3000",
		"domain":"api.customer1.example.com","mutual_tls_cas":"ca-crt.pem","crt":"server-crt.pem","key":"server-key.pem","mutual_tls_mode":"require","mutual_tls_stale_crl":true}`), true)
	if err != nil || len(warnings) > 0 || e.Name != "passthrough" || e.Upstream != "3000" || e.Termination != config.AtAgent ||
		e.URL.Host != "api.customer1.example.com" || e.MutualTLSCAs != "ca-crt.pem" || e.Key != "server-key.pem" ||
		e.MutualTLSMode != "require" || !e.MutualTLSStaleCRL {
		t.Errorf("%+v, %q, %v", e, warnings, err)
	}
	e, warnings, err = config.ParseTunnel([]byte(`{"proto":"http","addr":8080,"name":"a b (c)","port":1,"configPath":null,"authtoken":"t","region":"us","bind_tls":true,"auth":"u:p"}`), true)
	if err != nil || len(warnings) != 3 || e.Upstream != "8080" || len(e.Also) != 0 || e.BasicAuth[0] != "u:p" {
		t.Errorf("%+v, %q, %v", e, warnings, err)
	}
	for both, want := range map[bool]int{true: 1, false: 0} {
		if e, _, err := config.ParseTunnel([]byte(`{"name":"a","proto":"http","addr":"localhost:80"}`), both); err != nil || len(e.Also) != want {
			t.Errorf("both %v: %+v, %v", both, e, err)
		}
	}
	e, _, err = config.ParseEndpoint([]byte(`{"name":"web","url":"https://app.example.com","upstream":{"url":"http://localhost:8000","protocol":"http1"},"traffic_policy":"on_http_request: []"}`))
	if err != nil || e.Upstream != "http://localhost:8000" || e.TrafficPolicy != "on_http_request: []" {
		t.Errorf("%+v, %v", e, err)
	}
}

// The words are those that clients look for.
func TestParseTunnelRefuses(t *testing.T) {
	for body, want := range map[string]string{
		`{"proto":"http","addr":1}`:                                           "Tunnel declaration must contain a 'name'",
		`{"name":"a","proto":"foo","addr":1}`:                                 "Invalid protocol name 'foo'",
		`{"name":"a","proto":"http"}`:                                         "Tunnel 'a' must specify 'addr' to tunnel to",
		`{"name":"a","proto":"http","addr":1,"bind_tls":"zzz"}`:               "HTTP tunnel 'a' specifies invalid 'bind_tls': zzz",
		`{"name":"a","proto":"http","addr":1,"hostname":"x","subdomain":"y"}`: "Tunnel 'a' must not specify both hostname and subdomain.",
		`{"name":"a","proto":"tls","addr":1,"crt":"x"}`:                       "TLS tunnel 'a' must supply both 'crt' and 'key' or neither",
		`{"name":"a","proto":"http","addr":1,"basic_autth":"u:p"}`:            "did you mean basic_auth?",
		`{"name":["a"]}`: "name must be a single value",
	} {
		_, _, err := config.ParseTunnel([]byte(body), false)
		if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.HasPrefix(postern.AsError(err).Text(), want) && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// S1-42: what is no JSON is answered with the place and what to do.
func TestSyntaxErrors(t *testing.T) {
	for body, want := range map[string]string{
		"{\"name\":\"a\",\n \"addr\":1,\n}": "line 2, column 10: a comma without anything behind it; remove it",
		`{"name":"a"`:                       `line 1, column 12: the text ends too early; a closing } or " is missing`,
		`{"name":"a`:                        `line 1, column 11: the text ends too early`,
		`{"a":1} x`:                         "something follows the object",
		`[1]`:                               "expected an object",
		``:                                  "the body is empty",
		`{name:1}`:                          "line 1, column 2: invalid character 'n'",
		strings.Repeat("[", 100):            "nested deeper than 64",
	} {
		_, _, err := config.ParseTunnel([]byte(body), false)
		var syntax *config.SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", body, err, want)
		}
	}
}

func FuzzParseTunnel(f *testing.F) {
	f.Add([]byte(`{"name":"a","proto":"http","addr":"localhost:80","schemes":["http"]}`))
	f.Add([]byte(`{"name":"a","proto":"tcp","addr":22,"remote_addr":"1.tcp:2","x":{"y":[1.5,true,null]}}`))
	f.Add([]byte("{,}"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, parse := range []func() (config.Endpoint, []string, error){
			func() (config.Endpoint, []string, error) { return config.ParseTunnel(body, true) },
			func() (config.Endpoint, []string, error) { return config.ParseEndpoint(body) },
		} {
			e, _, err := parse()
			var syntax *config.SyntaxError
			if err != nil && !errors.As(err, &syntax) && !postern.HasCode(err, postern.CodeConfigInvalid) {
				t.Fatalf("%v has no code", err)
			}
			if err == nil && e.Validate() != nil {
				t.Fatalf("accepted, and yet %v", e.Validate())
			}
		}
	})
}
