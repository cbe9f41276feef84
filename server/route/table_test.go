package route_test

import (
	"fmt"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// nobody is an owner without members.
type nobody struct{ _ int }

func (*nobody) Pick(func(route.Member) bool) (route.Member, error) {
	return nil, postern.Errorf(postern.CodeEndpointOffline, "nobody")
}

func to(scheme postern.Scheme, host postern.Hostname, port uint16) *route.Route {
	return &route.Route{URL: postern.URL{Scheme: scheme, Host: host, Port: port}, Owner: &nobody{}}
}

func table(t testing.TB, routes ...*route.Route) *route.Table {
	t.Helper()
	made, err := route.New(routes)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func name(r *route.Route) string {
	if r == nil {
		return ""
	}
	return r.URL.String()
}

func TestTableFindsTheNearest(t *testing.T) {
	made := table(t,
		to(postern.HTTPS, "app.example.com", 0),
		to(postern.HTTP, "app.example.com", 0),
		to(postern.HTTP, "plain.example.com", 0),
		to(postern.HTTPS, "*.example.com", 0),
		to(postern.HTTPS, "*.eu.example.com", 0),
		to(postern.TLS, "raw.example.com", 0),
		to(postern.TLS, "*.raw.example.com", 0),
		to(postern.HTTP, "*.plain.example.com", 0),
		to(postern.TCP, "tcp.example.com", 20001),
		to(postern.UDP, "udp.example.com", 20001),
		to(postern.UDP, "udp.example.com", 20002),
	)
	cases := []struct {
		host               postern.Hostname
		http, https, toTLS string
	}{
		{"app.example.com", "http://app.example.com", "https://app.example.com", ""},
		{"plain.example.com", "http://plain.example.com", "https://*.example.com", ""},
		{"x.plain.example.com", "http://*.plain.example.com", "https://*.example.com", ""},
		{"other.example.com", "", "https://*.example.com", ""},
		{"a.b.example.com", "", "https://*.example.com", ""},
		{"x.eu.example.com", "", "https://*.eu.example.com", ""},
		{"eu.example.com", "", "https://*.example.com", ""},
		{"raw.example.com", "", "", "tls://raw.example.com"}, // never the https wildcard above it
		{"x.raw.example.com", "", "", "tls://*.raw.example.com"},
		{"example.com", "", "", ""}, // a wildcard does not serve its parent
		{"example.org", "", "", ""},
		{"com", "", "", ""},
		{"", "", "", ""},
	}
	for _, c := range cases {
		if got := name(made.HTTP(c.host, false)); got != c.http {
			t.Errorf("http %s: %q, want %q", c.host, got, c.http)
		}
		if got := name(made.HTTP(c.host, true)); got != c.https {
			t.Errorf("https %s: %q, want %q", c.host, got, c.https)
		}
		if got := name(made.TLS(c.host)); got != c.toTLS {
			t.Errorf("tls %s: %q, want %q", c.host, got, c.toTLS)
		}
		if got := name(made.Secure(c.host)); got != c.https+c.toTLS {
			t.Errorf("secure %s: %q, want %q", c.host, got, c.https+c.toTLS)
		}
	}
	if got := name(made.Port(20001)); got != "tcp://tcp.example.com:20001" {
		t.Errorf("port 20001: %q", got)
	}
	if got := name(made.Flow(20001)); got != "udp://udp.example.com:20001" {
		t.Errorf("UDP port 20001: %q", got)
	}
	if made.Port(20002) != nil || made.Port(0) != nil || made.Flow(20003) != nil {
		t.Error("a port that nobody has is served")
	}
	count := 0
	for range made.All() {
		count++
	}
	if count != 11 || made.Len() != 11 {
		t.Errorf("%d routes, Len %d, want 11", count, made.Len())
	}
}

func TestNewRefuses(t *testing.T) {
	cases := map[string][]*route.Route{
		"the same twice": {to(postern.HTTPS, "a.example", 0), to(postern.HTTPS, "a.example", 0)},
		"https and tls":  {to(postern.HTTPS, "a.example", 0), to(postern.TLS, "a.example", 0)},
		"wildcard twice": {to(postern.HTTP, "*.a.example", 0), to(postern.HTTP, "*.a.example", 0)},
		"port twice":     {to(postern.TCP, "a.example", 1), to(postern.TCP, "b.example", 1)},
		"no port":        {to(postern.TCP, "a.example", 0)},
		"no port of udp": {to(postern.UDP, "a.example", 0)},
		"udp port twice": {to(postern.UDP, "a.example", 1), to(postern.UDP, "b.example", 1)},
		"no host":        {to(postern.HTTPS, "", 0)},
		"no such scheme": {to("gopher", "a.example", 0)},
		"no owner":       {{URL: postern.URL{Scheme: postern.HTTPS, Host: "a.example"}}},
		"nothing":        {nil},
	}
	for what, routes := range cases {
		if _, err := route.New(routes); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

// B2 "Host attacks": what comes over one connection belongs to one route.
func TestAgree(t *testing.T) {
	made := table(t,
		to(postern.HTTPS, "app.example.com", 0),
		to(postern.HTTPS, "*.example.com", 0),
		to(postern.HTTPS, "*.other.com", 0),
		to(postern.HTTP, "plain.example.com", 0),
	)
	cases := []struct {
		sni, host postern.Hostname
		want      bool
	}{
		{"app.example.com", "app.example.com", true},
		{"x.example.com", "y.example.com", true},    // one wildcard
		{"app.example.com", "x.example.com", false}, // exact, wildcard
		{"x.example.com", "app.example.com", false},
		{"x.example.com", "x.other.com", false},
		{"gone.org", "app.example.com", false},
		{"gone.org", "gone.net", false},
		{"gone.org", "gone.org", true}, // 404, not 421
		{"", "app.example.com", true},
	}
	for _, c := range cases {
		if got := made.Agree(c.sni, c.host); got != c.want {
			t.Errorf("Agree(%q, %q) = %t", c.sni, c.host, got)
		}
	}
}

func TestCurrentStartsEmpty(t *testing.T) {
	var current route.Current
	if made := current.Load(); made.HTTP("a.example", true) != nil || made.Port(1) != nil || made.Len() != 0 {
		t.Fatal("the table before the first is not empty")
	}
	made := table(t, to(postern.HTTP, "a.example", 0))
	current.Store(made)
	if current.Load() != made {
		t.Fatal("Load does not return what was stored")
	}
}

// many makes a table of n routes, every tenth a wildcard.
func many(t testing.TB, n int) *route.Table {
	routes := make([]*route.Route, n)
	owner := &nobody{}
	for i := range routes {
		host := postern.Hostname(fmt.Sprintf("%08x.example.com", i))
		if i%10 == 0 {
			host = "*." + host
		}
		routes[i] = &route.Route{URL: postern.URL{Scheme: postern.HTTPS, Host: host}, Owner: owner}
	}
	return table(t, routes...)
}

func TestLookupAllocatesNothing(t *testing.T) {
	made := many(t, 100_000)
	allocated := testing.AllocsPerRun(100, func() {
		made.HTTP("00000001.example.com", true)
		made.HTTP("a.b.c.d.0000000a.example.com", true)
		made.HTTP("nobody.example.org", false)
		made.TLS("00000002.example.com")
		made.Port(443)
		made.Agree("x.0000000a.example.com", "y.0000000a.example.com")
	})
	if allocated != 0 {
		t.Fatalf("%v allocations", allocated)
	}
}

// BenchmarkRouteLookup looks names up among 100,000; docs/performance.md has figures.
func BenchmarkRouteLookup(b *testing.B) {
	made := many(b, 100_000)
	for what, host := range map[string]postern.Hostname{
		"exact":    "00000001.example.com",
		"wildcard": "www.0000000a.example.com",
		"nobody":   "a.long.name.that.nobody.has.example.org",
	} {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				made.HTTP(host, true)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for _, n := range []int{2_000, 100_000} {
		made := many(b, n)
		var routes []*route.Route
		for r := range made.All() {
			routes = append(routes, r)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = route.New(routes)
			}
		})
	}
}
