package edge_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/server/policy"
)

// Members of a tcp endpoint get connections in turn, each one that its own policy has let
// pass, whether they have the same policy or others.
func TestPoliciesOfATCPPool(t *testing.T) {
	const told = `on_tcp_connect: [{actions: [{type: log, config: {metadata: {judged: "${endpoint.id}", by: "%s"}}}]}]`
	same := fmt.Sprintf(told, "both")
	for name, texts := range map[string][2]string{
		"the same":  {same, same},
		"different": {fmt.Sprintf(told, "one"), fmt.Sprintf(told, "other")},
		"one alone": {same, ""},
		"requests":  {`on_tcp_connect: []`, same},
	} {
		t.Run(name, func(t *testing.T) {
			var judged, by string // by the connection's policy
			s := start(t, func(c *config) {
				c.Policy.Log = func(_ context.Context, l policy.Logged) { judged, by = l.Metadata["judged"], l.Metadata["by"] }
			})
			members, number := make([]*member, 2), ports.For(t, 1).First
			for i, text := range texts {
				m := newMember("")
				m.addr = s.upstream(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, string(m.id)) })
				if members[i] = m; text != "" {
					m.policy = compiled(t, postern.TCP, text)
				}
			}
			must(t, s.edge.OpenPort(postern.TCP, uint16(number)))
			s.policedPool(fmt.Sprintf("tcp://tcp.%s:%d", domain, number), members...)
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for range 10 {
				judged, by = "", ""
				_, served := get(t, client, fmt.Sprintf("http://127.0.0.1:%d/", number))
				if judged != "" && judged != served {
					t.Errorf("the policy %q of %s was asked, and %s serves the connection", by, judged, served)
				}
			}
			for i, m := range members {
				if got := m.opened.Load(); got != 5 {
					t.Errorf("member %d got %d of 10 connections", i, got)
				}
			}
		})
	}
}
