package route_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// The table agrees with the definition: of all routes that cover a name, the one with
// the longest host, which for wildcards is the nearest.
func TestTableAgreesWithCovers(t *testing.T) {
	host := rapid.StringMatching(`(a|b|c)(\.(a|b|c)){0,4}`)
	rapid.Check(t, func(t *rapid.T) {
		taken := map[route.Key]bool{}
		var routes []*route.Route
		for range rapid.IntRange(0, 12).Draw(t, "routes") {
			h := postern.Hostname(host.Draw(t, "host"))
			if rapid.Bool().Draw(t, "wildcard") {
				h = "*." + h
			}
			r := to(rapid.SampledFrom([]postern.Scheme{postern.HTTP, postern.HTTPS, postern.TLS}).Draw(t, "scheme"), h, 0)
			if key := route.KeyOf(r.URL); !taken[key] {
				taken[key] = true
				routes = append(routes, r)
			}
		}
		made, err := route.New(routes)
		if err != nil {
			t.Fatal(err)
		}
		asked := postern.Hostname(host.Draw(t, "asked"))
		var plain, secure *route.Route
		for _, r := range routes {
			best := &secure
			if r.URL.Scheme == postern.HTTP {
				best = &plain
			}
			if r.URL.Host.Covers(asked) && nearer(r, *best, asked) {
				*best = r
			}
		}
		if got := made.HTTP(asked, false); got != plain {
			t.Fatalf("http %s: %s, want %s", asked, name(got), name(plain))
		}
		if got := made.Secure(asked); got != secure {
			t.Fatalf("secure %s: %s, want %s", asked, name(got), name(secure))
		}
	})
}

func nearer(r, than *route.Route, asked postern.Hostname) bool {
	return than == nil || r.URL.Host == asked || than.URL.Host != asked && len(r.URL.Host) > len(than.URL.Host)
}
