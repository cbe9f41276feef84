package policy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/trial"
)

// BenchmarkTwentyRules is a request that twenty rules are asked about, of which the last
// one adds a header.
func BenchmarkTwentyRules(b *testing.B) {
	var text strings.Builder
	text.WriteString("on_http_request:\n")
	for i := range 19 {
		fmt.Fprintf(&text, "- expressions: [\"req.url.path == '/none/%d'\", \"conn.client_ip == '198.51.100.7'\"]\n  actions: [{type: deny}]\n", i)
	}
	text.WriteString("- actions: [{type: add-headers, config: {headers: {x-a: b}}}]\n")
	at := target(postern.HTTPS, false)
	program, err := policy.Compile(text.String(), at)
	if err != nil {
		b.Fatal(err)
	}
	ask, err := trial.Prepare(b.Context(), program, at, &policy.World{}, trial.Case{Request: &trial.Request{Method: http.MethodGet, URL: "https://app.example.com/a?b=c"}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if v, err := ask(); err != nil || v.Decision != policy.Continue {
			b.Fatal(v, err)
		}
	}
}
