package edge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
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
			var said atomic.Pointer[policy.Logged] // by the connection's policy
			s := start(t, func(c *config) {
				c.Policy.Log = func(_ context.Context, l policy.Logged) { said.Store(&l) }
			})
			members, addr := s.tcpPool(texts, nil)
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			for range 10 {
				said.Store(nil)
				_, served := get(t, client, "http://"+addr)
				if l := said.Load(); l != nil && l.Metadata["judged"] != served {
					t.Errorf("the policy %q of %s was asked, and %s serves the connection", l.Metadata["by"], l.Metadata["judged"], served)
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

// A member whose link fails has its connections go to one with the same policy, and to
// none with another: that was not asked.
func TestPoliciesOfATCPPoolThatFails(t *testing.T) {
	const told = `on_tcp_connect: [{actions: [{type: set-vars, config: {vars: [{by: "%s"}]}}]}]`
	for name, row := range map[string]struct {
		texts [2]string
		got   int64 // of 10 connections, by the second member
	}{
		"the same":  {[2]string{fmt.Sprintf(told, "both"), fmt.Sprintf(told, "both")}, 10},
		"different": {[2]string{fmt.Sprintf(told, "one"), fmt.Sprintf(told, "other")}, 5},
		"none":      {[2]string{fmt.Sprintf(told, "one"), ""}, 5},
		"one":       {[2]string{"", fmt.Sprintf(told, "other")}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			members, addr := s.tcpPool(row.texts, postern.Errorf(postern.CodeLinkLost, "gone"))
			for range 10 {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					continue // it is over so soon
				}
				_, _ = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
				_, _ = io.Copy(io.Discard, conn) // until it ends, however that is
				_ = conn.Close()
			}
			if got := members[1].opened.Load(); got != row.got {
				t.Errorf("the second member got %d of 10 connections, want %d", got, row.got)
			}
		})
	}
}

// tcpPool puts a tcp endpoint of two members online, each with a policy of its own, "" for
// none, and a service that says which one it is. The first refuses, unless with nil.
func (s *site) tcpPool(texts [2]string, refuses error) (members [2]*member, addr string) {
	s.t.Helper()
	for i, text := range texts {
		m := newMember("")
		m.addr = s.upstream(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, string(m.id)) })
		if members[i] = m; text != "" {
			m.policy = compiled(s.t, postern.TCP, text)
		}
	}
	members[0].refuse = refuses
	number := ports.For(s.t, 1).First
	must(s.t, s.edge.OpenPort(postern.TCP, uint16(number)))
	s.policedPool(fmt.Sprintf("tcp://tcp.%s:%d", domain, number), members[:]...)
	return members, fmt.Sprintf("127.0.0.1:%d", number)
}
