package gate_test

import (
	"testing"

	"github.com/postern-dev/postern/server/gate"
)

// What a request costs that shows a password, the header of its own, or the cookie.
func BenchmarkCheck(b *testing.B) {
	g := newBench(b, gate.Config{}, alice, bob)
	cookie := g.cookie(b, alice)
	for name, line := range map[string]string{
		"password": "Authorization: " + basic(alice), "header": "Postern-Authorization: " + basic(bob), "cookie": "Cookie: a=1; " + cookie, "nothing": "Authorization: Bearer x",
	} {
		b.Run(name, func(b *testing.B) {
			r := asked(line)
			b.ReportAllocs()
			for b.Loop() {
				g.Check(b.Context(), g.credentials, r)
			}
		})
	}
}
