package policy_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

func options(t *testing.T, text string) map[string]json.RawMessage {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// Options of older clients do what they did there, before what a policy of today says.
func TestOfOptions(t *testing.T) {
	before, err := policy.OfOptions(options(t, `{
		"RequestHeaders": {"add": ["x-a: 1", "x-a: ${two}"], "remove": ["x-gone"], "addParsed": {"x-parsed": "3"}},
		"ResponseHeaders": {"add": ["x-from:edge"]},
		"UserAgentFilter": {"allow": ["^curl/"], "deny": ["bad\"bot"]},
		"Policy": {"Inbound": [{"Name": "old", "Expressions": ["req.url.path == '/old'"], "Actions": [{"Type": "deny", "Config": {"status_code": 410}}]}]},
		"TrafficPolicy": "is read elsewhere"}`), postern.HTTPS)
	if err != nil {
		t.Fatal(err)
	}
	at := target(postern.HTTPS, false)
	at.Before = before
	program, err := policy.Compile("on_http_request: [{actions: [{type: add-headers, config: {headers: {x-b: \"${req.headers['x-a'][0]}\"}}}]}]", at)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path, agent string) *trial.Outcome {
		c := trial.Case{Request: &trial.Request{URL: "https://app.example.com" + path, Headers: map[string]trial.Values{"User-Agent": {agent}, "X-Gone": {"x"}}}}
		out, err := trial.Run(t.Context(), program, at, &policy.World{}, c)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, miss := range ask("/", "curl/8").Misses(&trial.Outcome{
		Decision: "continue",
		Request:  &trial.Request{Headers: map[string]trial.Values{"X-A": {"1", "${two}"}, "X-B": {"1"}, "X-Parsed": {"3"}, "X-Gone": nil}},
		Response: &trial.Response{Status: 200, Headers: map[string]trial.Values{"X-From": {"edge"}}},
	}) {
		t.Error(miss)
	}
	for agent, status := range map[string]int{"wget": 403, "curl/8 bad\"bot": 403, "": 403} {
		if out := ask("/", agent); out.Decision != "respond" || out.Response.Status != status {
			t.Errorf("%q: %+v", agent, out)
		}
	}
	if out := ask("/old", "curl/8"); out.Decision != "respond" || out.Response.Status != 410 {
		t.Errorf("the old policy: %+v", out)
	}
}

// What cannot be honoured or understood is refused: it may be what keeps strangers out.
func TestOptionsThatAreRefused(t *testing.T) {
	for text, code := range map[string]postern.Code{
		`{"OAuth": {"provider": "google"}}`:              postern.CodeOptionUnsupported,
		`{"OIDC": {"issuer_url": "https://x"}}`:          postern.CodeOptionUnsupported,
		`{"WebhookVerification": {"provider": "slack"}}`: postern.CodeOptionUnsupported,
		`{"MiddlewareBytes": "CgA="}`:                    postern.CodeOptionUnsupported,
		`{"NeverHeardOf": true}`:                         postern.CodeOptionUnsupported,
		`{"Auth": "nobody"}`:                             postern.CodeBindInvalid,
		`{"BasicAuth": {"credentials": "u:p"}}`:          postern.CodeBindInvalid,
		`{"IPRestriction": []}`:                          postern.CodeBindInvalid,
		`{"RequestHeaders": {"add": ["no colon"]}}`:      postern.CodeBindInvalid,
		`{"CircuitBreaker": {"error_threshold": "0.5"}}`: postern.CodeBindInvalid,
		`{"UserAgentFilter": {"deny": "bot"}}`:           postern.CodeBindInvalid,
		`{"Policy": {"Enabled": false, "Inbound": []}}`:  postern.CodeBindInvalid,
	} {
		if _, err := policy.OfOptions(options(t, text), postern.HTTPS); !postern.HasCode(err, code) {
			t.Errorf("%s: %v", text, err)
		}
	}
	before, err := policy.OfOptions(options(t, `{"RequestHeaders": {"add": ["Content-Length: 1"]}}`), postern.HTTPS)
	if err != nil {
		t.Fatal(err)
	}
	at := target(postern.HTTPS, false)
	at.Before = before
	if _, err := policy.Compile("", at); err == nil || !strings.Contains(err.Error(), "an option of the endpoint") {
		t.Errorf("a header that nobody may write: %v", err)
	}
	if none, err := policy.OfOptions(options(t, `{"BasicAuth": {"credentials": []}, "IPRestriction": {}}`), postern.HTTPS); none != "" || err != nil {
		t.Errorf("options that ask for nothing: %v", err)
	}
}

// Who may not come in is told so where visitors speak HTTP, before anybody asks for a
// password; other connections are closed.
func TestOfIPRestriction(t *testing.T) {
	const text = `{"IPRestriction": {"allow_cidrs": ["192.0.2.0/24"], "deny_cidrs": ["192.0.2.9"]}, "Auth": "ann:password"}`
	for scheme, refused := range map[postern.Scheme]trial.Outcome{
		postern.HTTPS: {Decision: "respond", Code: "ERR_NGROK_3205", Response: &trial.Response{Status: 403}},
		postern.HTTP:  {Decision: "respond", Code: "ERR_NGROK_3205", Response: &trial.Response{Status: 403}},
		postern.TCP:   {Decision: "close"},
		postern.TLS:   {Decision: "close"},
	} {
		all := options(t, text)
		web := scheme == postern.HTTPS || scheme == postern.HTTP
		if !web {
			delete(all, "Auth")
		}
		before, err := policy.OfOptions(all, scheme)
		if err != nil {
			t.Fatal(err)
		}
		at := target(scheme, false)
		at.Before = before
		program, err := policy.Compile("", at)
		if err != nil {
			t.Fatal(err)
		}
		for client, want := range map[string]trial.Outcome{
			"192.0.2.7:1": {Decision: "continue"}, "192.0.2.9:1": refused, "198.51.100.1:1": refused, "[2001:db8::1]:1": refused,
		} {
			c := trial.Case{Connection: trial.Connection{Client: client}}
			if web {
				c.Request = &trial.Request{URL: string(scheme) + "://app.example.com/", Headers: map[string]trial.Values{"Authorization": {"Basic YW5uOnBhc3N3b3Jk"}}}
			}
			if client != "192.0.2.7:1" && web {
				c.Request.Headers = nil
			}
			out, err := trial.Run(t.Context(), program, at, &policy.World{}, c)
			if err != nil {
				t.Fatal(err)
			}
			for _, miss := range out.Misses(&want) {
				t.Errorf("%s from %s: %s", scheme, client, miss)
			}
		}
	}
}

// withOptions is a program of options alone.
func withOptions(t *testing.T, text string) (*policy.Program, policy.Target) {
	t.Helper()
	at := target(postern.HTTPS, false)
	var err error
	if at.Before, err = policy.OfOptions(options(t, text), postern.HTTPS); err != nil {
		t.Fatal(err)
	}
	program, err := policy.Compile("", at)
	if err != nil {
		t.Fatal(err)
	}
	return program, at
}

// Passwords of options are taken as they were there: short ones with a warning, and as hashes.
func TestPasswordsOfOptions(t *testing.T) {
	for text, signIn := range map[string]string{
		`{"Auth": "demo:secret"}`: "demo:secret",
		`{"BasicAuth": {"credentials": [{"username": "demo", "cleartext_password": "secret"}]}}`:                                                                         "demo:secret",
		`{"BasicAuth": {"credentials": [{"username": "demo", "cleartext_password": "a${b}:c"}]}}`:                                                                        "demo:a${b}:c",
		`{"BasicAuth": {"credentials": [{"username": "carol", "hashed_password": "JDJhJDA0JE5UU0VFTWxvYmt5aU5XWDdRLlJFZk9QcXpPdFFsbzR4S0cxN3NrWGRpejdWY0xJLlFudk9x"}]}}`: "carol:correct horse",
	} {
		program, at := withOptions(t, text)
		if warned := len(program.Warnings()) == 1 && strings.Contains(program.Warnings()[0].Message, "6 characters"); warned != (signIn == "demo:secret") {
			t.Errorf("%s: warns %v", text, program.Warnings())
		}
		for authorization, want := range map[string]trial.Outcome{
			"Basic " + base64.StdEncoding.EncodeToString([]byte(signIn)):       {Decision: "continue", Request: &trial.Request{Headers: map[string]trial.Values{"Authorization": nil}}},
			"Basic " + base64.StdEncoding.EncodeToString([]byte("demo:wrong")): {Decision: "respond", Code: "ERR_POSTERN_320", Response: &trial.Response{Status: 401}},
			"Bearer eyJ.e30.sig": {Decision: "respond", Code: "ERR_POSTERN_320", Response: &trial.Response{Status: 401}},
		} {
			c := trial.Case{Request: &trial.Request{URL: "https://app.example.com/", Headers: map[string]trial.Values{"Authorization": {authorization}}}}
			got, err := trial.Run(t.Context(), program, at, &policy.World{}, c)
			if err != nil {
				t.Fatal(err)
			}
			for _, miss := range got.Misses(&want) {
				t.Errorf("%s, %s: %s", text, authorization, miss)
			}
		}
	}
}

// The other options do what their actions do.
func TestShapingOptions(t *testing.T) {
	program, at := withOptions(t, `{"Compression": {}, "CircuitBreaker": {"error_threshold": 0.5}, "RequestHeaders": {"add": ["Host: inner.example"]}, "WebsocketTCPConverter": {}, "ErrorPages": {}}`)
	c := trial.Case{
		Request:  &trial.Request{URL: "https://app.example.com/", Headers: map[string]trial.Values{"Accept-Encoding": {"gzip"}}},
		Response: trial.Response{Status: 500, Headers: map[string]trial.Values{"Content-Type": {"text/plain"}}, Body: "text ", Repeat: 1000},
	}
	passes := trial.Outcome{
		Decision: "continue", Request: &trial.Request{URL: "inner.example/"},
		Response: &trial.Response{Status: 500, Headers: map[string]trial.Values{"Content-Encoding": {"gzip"}}},
	}
	open := trial.Outcome{Decision: "respond", Code: "ERR_NGROK_3202", Response: &trial.Response{Status: 503, Headers: map[string]trial.Values{"Retry-After": {"10"}}}}
	for i := range 11 { // ten answers are looked at
		want := passes
		if i == 10 {
			want = open
		}
		got, err := trial.Run(t.Context(), program, at, &policy.World{}, c)
		if err != nil {
			t.Fatal(err)
		}
		for _, miss := range got.Misses(&want) {
			t.Errorf("request %d: %s", i, miss)
		}
	}
	before, err := policy.OfOptions(options(t, `{"CircuitBreaker": {"error_threshold": 1.5}}`), postern.HTTPS)
	if err != nil {
		t.Fatal(err)
	}
	at.Before = before
	if _, err := policy.Compile("", at); err == nil || !strings.Contains(err.Error(), "an option of the endpoint: it is 1.5") {
		t.Errorf("a share above all: %v", err)
	}
}
