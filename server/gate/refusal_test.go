package gate_test

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/gate"
)

func TestRefusal(t *testing.T) {
	b := newBench(t, gate.Config{Realm: `the "back" \ end`}, alice)
	for origin, echoed := range map[string]bool{
		"": false, "https://app.example.com": true, "http://localhost:3000": true, "null": true, "http://[::1]:8080": true,
		"*": false, "https://app.example.com/": false, "https://u@app.example.com": false, "app.example.com": false, "https://": false,
		"https://a, https://b": false, "https://" + strings.Repeat("x", 300): false,
	} {
		r := asked()
		if origin != "" {
			r = asked("Origin: " + origin)
		}
		h := b.check(t, r).Refusal.Header
		if got := h.Get("WWW-Authenticate"); got != `Basic realm="the \"back\" \\ end", charset="UTF-8"` {
			t.Errorf("challenge %s", got)
		}
		allowed := h["Access-Control-Allow-Origin"]
		if echoed != slices.Equal(allowed, []string{origin}) || !echoed && allowed != nil {
			t.Errorf("origin %q: %q", origin, allowed)
		}
		if h.Get("Vary") != "Origin" || h.Get("Cache-Control") != "no-store" || h["Access-Control-Allow-Credentials"] != nil {
			t.Errorf("origin %q: %v", origin, h)
		}
	}
	// Two origins are none.
	if h := b.check(t, asked("Origin: https://a.example", "Origin: https://b.example")).Refusal.Header; h["Access-Control-Allow-Origin"] != nil {
		t.Errorf("%v", h)
	}
	if realm := must(gate.New(gate.Config{})).Check(t.Context(), b.credentials, asked()).Refusal.Header.Get("WWW-Authenticate"); realm != `Basic realm="ngrok", charset="UTF-8"` {
		t.Errorf("%s", realm)
	}
}

// What browsers send before a cross-origin request passes, without anything that could
// make more of it.
func TestPreflight(t *testing.T) {
	b := newBench(t, gate.Config{}, alice)
	strict := newBench(t, gate.Config{StopPreflights: true}, alice)
	real := []string{"Origin: https://app.example.com", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization"}
	preflight := func(edit func(r *gate.Request), lines ...string) gate.Request {
		r := asked(lines...)
		r.Method = http.MethodOptions
		if edit != nil {
			edit(&r)
		}
		return r
	}
	signedIn := b.cookie(t, alice)
	for name, c := range map[string]struct {
		request gate.Request
		passes  bool
	}{
		"a browser's":             {preflight(nil, real...), true},
		"with the service's":      {preflight(nil, append([]string{"Authorization: Bearer x", "Cookie: a=1"}, real...)...), true},
		"another method":          {preflight(func(r *gate.Request) { r.Method = http.MethodPost }, real...), false},
		"method in small letters": {preflight(func(r *gate.Request) { r.Method = "options" }, real...), false},
		"with a body":             {preflight(func(r *gate.Request) { r.HasBody = true }, real...), false},
		"no origin":               {preflight(nil, real[1:]...), false},
		"no method":               {preflight(nil, real[0]), false},
		"empty method":            {preflight(nil, real[0], "Access-Control-Request-Method: "), false},
		"two origins":             {preflight(nil, append([]string{"Origin: https://b.example"}, real...)...), false},
		"an upgrade":              {preflight(nil, append([]string{"Upgrade: tls/1.2"}, real...)...), false},
		"a wrong password":        {preflight(nil, append([]string{"Authorization: " + basic("alice:wrong password")}, real...)...), false},
		"a wrong one of its own":  {preflight(nil, append([]string{"Postern-Authorization: x"}, real...)...), false},
		"a wrong cookie":          {preflight(nil, append([]string{"Cookie: " + signedIn[:len(signedIn)-1] + "!"}, real...)...), false},
	} {
		o := b.check(t, c.request)
		if (o.Refusal == nil) != c.passes || o.Authorized {
			t.Errorf("%s: %q", name, code(o))
		}
		if o := strict.check(t, c.request); o.Refusal == nil {
			t.Errorf("%s passes a gate that stops preflights", name)
		}
		if !c.passes {
			continue
		}
		h := header{"Origin": {"https://app.example.com"}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"authorization"},
			"User-Agent": {"x"}, "Sec-Fetch-Mode": {"cors"}, "X-Requested-With": {"x"}}
		want := len(h)
		for _, bad := range []string{"Authorization", "Cookie", "Cookie2", "X-Http-Method-Override", "X_http_method_override", "X.http-Method.override", "X-Http-Method",
			"X-Method-Override", "X-Method", "X-Original-Url", "X_original_url", "X-Rewrite-Url", "Proxy-Authorization"} {
			h[bad] = []string{"x"}
		}
		o.Strip(h)
		if len(h) != want {
			t.Errorf("%s: the service gets %v", name, h)
		}
	}
	// With a credential it is a request like others.
	r := preflight(nil, append([]string{"Authorization: " + basic(alice)}, real...)...)
	for _, g := range []*bench{b, strict} {
		o := g.check(t, r)
		h := header{"Authorization": r.Header("Authorization"), "X-Http-Method-Override": {"PUT"}}
		if o.Strip(h); o.Refusal != nil || !o.Authorized || len(h) != 1 {
			t.Errorf("%q, %v", code(o), h)
		}
	}
}

func TestThrottled(t *testing.T) {
	b := newBench(t, gate.Config{}, alice, bob)
	if o := b.check(t, asked("Authorization: "+basic(alice))); o.Refusal != nil { // proven
		t.Fatal(code(o))
	}
	guess := func(i int) gate.Request {
		return asked("Origin: https://a.example", "Authorization: "+basic("bob:guess number "+strings.Repeat("x", i)))
	}
	for i := range 20 {
		if o := b.check(t, guess(i)); code(o) != postern.CodePasswordRequired {
			t.Fatalf("guess %d: %q", i, code(o))
		}
		if o := b.check(t, guess(0)); code(o) != postern.CodePasswordRequired { // an old password, again and again
			t.Fatalf("%q", code(o))
		}
	}
	o := b.check(t, guess(20))
	if code(o) != postern.CodeTooManyGuesses || o.Refusal.Header.Get("Retry-After") != "3" || o.Refusal.Header.Get("WWW-Authenticate") != "" ||
		o.Refusal.Header.Get("Access-Control-Allow-Origin") != "https://a.example" {
		t.Errorf("%q, %v", code(o), o.Refusal.Header)
	}
	for name, c := range map[string]struct {
		line, from string
		code       postern.Code
	}{
		"the right one is not heard": {"Authorization: " + basic(bob), here, postern.CodeTooManyGuesses},
		"nor in the gate's header":   {"Postern-Authorization: " + basic(bob), here, postern.CodeTooManyGuesses},
		"one that was right before":  {"Authorization: " + basic(alice), here, ""},
		"from elsewhere":             {"Authorization: " + basic("bob:yet another"), "192.0.2.8", postern.CodePasswordRequired},
		"what is no guess":           {"Authorization: Bearer x", here, postern.CodePasswordRequired},
	} {
		r := asked(c.line)
		r.Client = netip.MustParseAddr(c.from)
		if o := b.check(t, r); code(o) != c.code {
			t.Errorf("%s: %q", name, code(o))
		}
	}
	b.now = b.now.Add(3e9)
	if o := b.check(t, asked("Authorization: "+basic(bob))); o.Refusal != nil {
		t.Errorf("after a while: %q", code(o))
	}
	// An address that passes by itself is no way round: what is tried is counted.
	granted := newBench(t, gate.Config{GrantAddress: gate.LongestGrant}, alice, bob)
	granted.check(t, asked("Authorization: "+basic(alice)))
	for i := range 20 {
		if o := granted.check(t, guess(i)); o.Refusal != nil || o.Username != "" {
			t.Fatalf("guess %d: %q, %q", i, code(o), o.Username)
		}
	}
	if o := granted.check(t, asked("Authorization: "+basic(bob))); code(o) != postern.CodeTooManyGuesses {
		t.Errorf("%q", code(o))
	}
}
