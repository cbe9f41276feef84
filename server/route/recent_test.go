package route_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

func TestRecent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r route.Recent
		r.Lose(postern.URL{Scheme: postern.HTTPS, Host: "a.example"})
		r.Lose(postern.URL{Scheme: postern.HTTPS, Host: "*.w.example"})
		r.Lose(postern.URL{Scheme: postern.TLS, Host: "t.example"})
		r.Lose(postern.URL{Scheme: postern.TCP, Host: "tcp.example", Port: 7})
		r.Lose(postern.URL{Scheme: postern.HTTP, Host: "b.example"})
		r.Dismiss(postern.URL{Scheme: postern.HTTP, Host: "b.example"})
		r.Lose(postern.URL{Scheme: postern.HTTP, Host: "d.example"})
		r.Forget(postern.URL{Scheme: postern.HTTP, Host: "d.example"})
		r.Lose(postern.URL{Scheme: postern.HTTPS, Host: "*.internal", Account: "ac_1"})
		check := func(lost bool) {
			t.Helper()
			for what, until := range map[string]time.Time{
				"name": r.HTTP("a.example", true), "below the wildcard": r.HTTP("x.y.w.example", true),
				"tls": r.TLS("t.example"), "port": r.Port(7),
				"internal": r.Internal("ac_1", postern.URL{Scheme: postern.HTTPS, Host: "api.internal"}),
			} {
				if until.IsZero() == lost {
					t.Errorf("%s: until %v, lost %v", what, until, lost)
				}
			}
			for what, until := range map[string]time.Time{
				"http of an https name": r.HTTP("a.example", false), "https of a tls name": r.HTTP("t.example", true),
				"dismissed": r.HTTP("b.example", false), "forgotten": r.HTTP("d.example", false), "another": r.HTTP("c.example", true),
				"above the wildcard": r.HTTP("w.example", true), "another port": r.Port(8),
				"another account's": r.Internal("ac_2", postern.URL{Scheme: postern.HTTPS, Host: "api.internal"}), "internal seen from outside": r.HTTP("api.internal", true),
			} {
				if !until.IsZero() {
					t.Errorf("%s: until %v", what, until)
				}
			}
		}
		check(true)
		if forgotten := r.Forgotten(); len(forgotten) != 1 || forgotten[postern.URL{Scheme: postern.HTTP, Host: "b.example"}].IsZero() {
			t.Errorf("forgotten is %v", forgotten)
		}
		time.Sleep(route.ReturnTime - time.Nanosecond)
		check(true)
		time.Sleep(time.Nanosecond)
		check(false)
		r.Lose(postern.URL{Scheme: postern.HTTPS, Host: "n.example"}) // sweeps
		check(false)
		if forgotten := r.Forgotten(); len(forgotten) != 0 {
			t.Errorf("in the end forgotten is %v", forgotten)
		}
		r.Dismiss(postern.URL{Scheme: postern.HTTP, Host: "c.example"})
		r.Lose(postern.URL{Scheme: postern.HTTP, Host: "c.example"})
		if forgotten := r.Forgotten(); len(forgotten) != 0 || r.HTTP("c.example", false).IsZero() {
			t.Errorf("what was lost later is forgotten: %v", forgotten)
		}
		var none *route.Recent
		none.Lose(postern.URL{Scheme: postern.TCP, Port: 7})
		none.Forget(postern.URL{Scheme: postern.TCP, Port: 7})
		none.Dismiss(postern.URL{Scheme: postern.TCP, Port: 7})
		if !none.Port(7).IsZero() || none.Forgotten() != nil {
			t.Error("nobody remembers something")
		}
	})
}
