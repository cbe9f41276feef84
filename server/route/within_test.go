package route_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

func internal(account postern.AccountID, scheme postern.Scheme, host postern.Hostname, port uint16) *route.Route {
	u := postern.URL{Scheme: scheme, Host: host, Port: port}.Within(account)
	return &route.Route{URL: u, Account: account, Owner: &nobody{}}
}

func TestInternalFindsTheNearestOfTheAccount(t *testing.T) {
	made := table(t,
		internal("a", postern.HTTPS, "api.internal", 0),
		internal("b", postern.HTTPS, "api.internal", 443),
		internal("a", postern.HTTPS, "api.internal", 8443),
		internal("a", postern.HTTP, "api.internal", 0),
		internal("a", postern.TLS, "api.internal", 0),
		internal("a", postern.TCP, "db.internal", 5432),
		internal("a", postern.HTTPS, "*.internal", 0),
		internal("a", postern.HTTPS, "*.eu.internal", 0),
		to(postern.HTTPS, "public.example", 0),
	)
	cases := []struct {
		account      postern.AccountID
		scheme       postern.Scheme
		host         postern.Hostname
		port         uint16
		found        string
		ofTheAccount postern.AccountID
	}{
		{"a", postern.HTTPS, "api.internal", 0, "https://api.internal", "a"},
		{"a", postern.HTTPS, "api.internal", 443, "https://api.internal", "a"},
		{"b", postern.HTTPS, "api.internal", 0, "https://api.internal", "b"},
		{"a", postern.HTTPS, "api.internal", 8443, "https://api.internal:8443", "a"},
		{"b", postern.HTTPS, "api.internal", 8443, "", ""},
		{"a", postern.HTTP, "api.internal", 80, "http://api.internal", "a"},
		{"a", postern.TLS, "api.internal", 0, "tls://api.internal", "a"},
		{"a", postern.TCP, "db.internal", 5432, "tcp://db.internal:5432", "a"},
		{"a", postern.TCP, "db.internal", 5433, "", ""},
		{"b", postern.TCP, "db.internal", 5432, "", ""},
		{"a", postern.HTTPS, "x.internal", 0, "https://*.internal", "a"},
		{"a", postern.HTTPS, "x.y.internal", 0, "https://*.internal", "a"},
		{"a", postern.HTTPS, "x.eu.internal", 0, "https://*.eu.internal", "a"},
		{"a", postern.HTTPS, "x.internal", 8443, "", ""}, // the wildcard has another port
		{"b", postern.HTTPS, "x.internal", 0, "", ""},
		{"a", postern.HTTPS, "internal", 0, "", ""},
		{"a", postern.HTTPS, "public.example", 0, "", ""},
		{"", postern.HTTPS, "api.internal", 0, "", ""},
		{"", postern.HTTPS, "public.example", 0, "", ""},
	}
	for _, c := range cases {
		r := made.Internal(c.account, postern.URL{Scheme: c.scheme, Host: c.host, Port: c.port})
		if name(r) != c.found || r != nil && r.Account != c.ofTheAccount {
			t.Errorf("%s of %q at %d for %q: %q, want %q", c.host, c.scheme, c.port, c.account, name(r), c.found)
		}
		if r != nil && made.Same(r) != r {
			t.Errorf("%s is not itself", name(r))
		}
	}
	count := 0
	for range made.All() {
		count++
	}
	if count != 9 || made.Len() != 9 {
		t.Errorf("%d routes, Len %d", count, made.Len())
	}
	lookup := postern.URL{Scheme: postern.HTTPS, Host: "x.eu.internal"}
	if n := testing.AllocsPerRun(100, func() { made.Internal("a", lookup) }); n != 0 {
		t.Errorf("a look-up takes %v allocations", n)
	}
}

// Whatever a visitor says, by name or by port: no internal endpoint answers.
func TestVisitorsFindNoInternalEndpoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		host := postern.Hostname(rapid.StringMatching(`(\*\.)?(a|b)(\.(a|b)){0,2}\.internal`).Draw(t, "host"))
		scheme := rapid.SampledFrom([]postern.Scheme{postern.HTTP, postern.HTTPS, postern.TLS, postern.TCP}).Draw(t, "scheme")
		port := rapid.SampledFrom([]uint16{80, 443, 5432}).Draw(t, "port")
		made, err := route.New([]*route.Route{internal("acct", scheme, host, port)})
		if err != nil {
			t.Fatal(err)
		}
		said := host
		if host.Wildcard() {
			said = "x." + host.Parent()
		}
		for _, name := range []postern.Hostname{host, said} {
			if made.HTTP(name, true) != nil || made.HTTP(name, false) != nil || made.TLS(name) != nil || made.Secure(name) != nil {
				t.Fatalf("%s is found by its name", name)
			}
		}
		if made.Port(port) != nil || made.Flow(port) != nil {
			t.Fatal("found by its port")
		}
		if made.Internal("acct", postern.URL{Scheme: scheme, Host: said, Port: port}) == nil {
			t.Fatal("not found by its account")
		}
	})
}

func TestNewRefusesInternal(t *testing.T) {
	foreign := internal("a", postern.HTTPS, "api.internal", 0)
	foreign.Account = "b"
	for what, routes := range map[string][]*route.Route{
		"another account's": {foreign},
		"twice":             {internal("a", postern.HTTPS, "api.internal", 0), internal("a", postern.HTTPS, "api.internal", 443)},
		"wildcard twice":    {internal("a", postern.TCP, "*.internal", 1), internal("a", postern.TCP, "*.internal", 1)},
		"tcp without port":  {internal("a", postern.TCP, "db.internal", 0)},
		"tcp without host":  {internal("a", postern.TCP, "", 5432)},
		"udp":               {internal("a", postern.UDP, "db.internal", 53)},
	} {
		if _, err := route.New(routes); !postern.HasCode(err, postern.CodeInternal) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
