package trial_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

// captured is what an agent lists: the newest first, with what the server wrote.
const captured = `{"requests": [
 {"remote_addr": "198.51.100.9", "start": "2031-01-01T00:00:30Z",
  "request": {"method": "POST", "uri": "/b?c=1", "raw": "UE9TVCAvYiBIVFRQLzEuMQ0KDQpzZW50",
   "headers": {"Host": ["inner:80"], "X-Forwarded-Host": ["app.example.com"], "X-Forwarded-Proto": ["https"], "X-Forwarded-For": ["198.51.100.9"], "X-Kept": ["1"]}},
  "response": {"status_code": 404, "headers": {"Server": ["x"]}, "raw": "SFRUUC8xLjEgNDA0IE5vdCBGb3VuZA0KDQpnb25l"}},
 {"remote_addr": "198.51.100.9", "start": "2031-01-01T00:00:00Z", "request": {"method": "GET", "uri": "/a", "headers": {"Host": ["app.example.com"]}}, "response": null}
], "truncated": true}`

// Captures of an agent are what visitors sent, the oldest first.
func TestParseCaptures(t *testing.T) {
	cases, truncated, err := trial.ParseCaptures([]byte(captured), "203.0.113.7:50000")
	if err != nil || !truncated || len(cases) != 2 {
		t.Fatalf("%d cases, truncated %v: %v", len(cases), truncated, err)
	}
	if c := cases[0]; c.Request.URL != "https://app.example.com/a" || c.Response.Status != 502 {
		t.Errorf("the older one is %+v", c)
	}
	c := cases[1]
	if c.Request.URL != "https://app.example.com/b?c=1" || c.Request.Body != "sent" || c.Response.Body != "gone" || c.Connection.Client != "198.51.100.9:50000" {
		t.Errorf("%+v", c)
	}
	if len(c.Request.Headers) != 1 || !slices.Equal(c.Request.Headers["X-Kept"], []string{"1"}) {
		t.Errorf("the request has the headers %v", c.Request.Headers)
	}
	for _, wrong := range []string{"", "[]", "{}", `{"requests": 1}`} {
		if _, _, err := trial.ParseCaptures([]byte(wrong), ""); err == nil {
			t.Errorf("%q is taken for a list", wrong)
		}
	}
}

// A dry run tells what would be otherwise, counts rules and limits by the captures' times,
// and shows no values.
func TestDryRun(t *testing.T) {
	const text = `on_http_request:
- name: one a minute
  actions:
  - type: rate-limit
    config: {name: n, algorithm: sliding_window, capacity: 1, rate: 60s, bucket_key: [conn.client_ip]}
- expressions: ["req.method == 'GET'"]
  actions:
  - type: add-headers
    config: {headers: {x-hidden: value}}
`
	at := policy.Target{Scheme: postern.HTTPS}
	program, err := policy.Compile(text, at)
	if err != nil {
		t.Fatal(err)
	}
	cases, _, err := trial.ParseCaptures([]byte(captured), "203.0.113.7:50000")
	if err != nil {
		t.Fatal(err)
	}
	for i := range cases {
		cases[i].Connection.Client = "203.0.113.7:50000"
	}
	run, err := trial.DryRun(t.Context(), program, at, &policy.World{}, cases)
	if err != nil || run.Requests != 2 || run.Answered != 1 || run.Changed != 1 {
		t.Fatalf("%+v: %v", run, err)
	}
	if r := run.Rules[0]; r.Asked != 2 || r.Matched != 2 || r.Name != "one a minute" {
		t.Errorf("%+v", r)
	}
	if r := run.Rules[1]; r.Asked != 1 || r.Matched != 1 {
		t.Errorf("%+v", r)
	}
	if got := run.Outcomes[0].Changes; !slices.Equal(got, []string{"the request's header X-Hidden is added"}) {
		t.Errorf("%q", got)
	}
	if o := run.Outcomes[1]; o.Decision != "respond" || o.StatusCode != 429 || o.Code == nil || *o.Code != "ERR_POSTERN_665" || len(o.Steps) == 0 {
		t.Errorf("%+v", o)
	}
}

// No archive and no list makes the parsers panic, and what they give can be run.
func FuzzCaptures(f *testing.F) {
	f.Add([]byte(captured))
	f.Add([]byte(`{"log": {"entries": [{"request": {"method": "GET", "url": "https://a/", "headers": [{"name": ":path"}]}, "response": {"content": {"text": "eA==", "encoding": "base64"}}}]}}`))
	program, err := policy.Compile("", policy.Target{Scheme: postern.HTTPS})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		listed, _, _ := trial.ParseCaptures(text, "")
		archived, _ := trial.ParseHAR(text, "")
		run, err := trial.DryRun(t.Context(), program, policy.Target{Scheme: postern.HTTPS}, &policy.World{}, append(listed, archived...))
		if err != nil {
			t.Fatal(err)
		}
		if run.Answered+run.Changed > 0 {
			t.Errorf("a policy without rules changes something: %+v", run)
		}
		if _, err := json.Marshal(run); err != nil {
			t.Error(err)
		}
	})
}
