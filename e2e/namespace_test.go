//go:build linux

package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit/path"
)

// drop discards what travels to port (one way) or to and from it; heal ends that.
func drop(t *testing.T, port int, bothWays bool) (heal func()) {
	t.Helper()
	rules := [][]string{{"INPUT", "-p", "tcp", "--dport", fmt.Sprint(port), "-j", "DROP"}}
	if bothWays {
		rules = append(rules, []string{"INPUT", "-p", "tcp", "--sport", fmt.Sprint(port), "-j", "DROP"})
	}
	for _, rule := range rules {
		run(t, nil, append([]string{"iptables", "-A"}, rule...)...)
	}
	return func() {
		for _, rule := range rules {
			run(t, nil, append([]string{"iptables", "-D"}, rule...)...)
		}
	}
}

// B5-5 and B5-6: the network between agent and server eats packets, one way or
// both; nobody gets a reset.
func TestLinkBlackHoled(t *testing.T) {
	for name, bothWays := range map[string]bool{"OneWay": false, "BothWays": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !path.Isolate(t) {
				return
			}
			link := freePorts(t, 1)[0]
			s := startServer(t, fmt.Sprintf("  agent: 127.0.0.1:%d", link))
			upstream, _ := slowBody(t)
			s.connect = fmt.Sprintf("127.0.0.1:%d", link)
			agent, url := s.agent("http", upstream)
			visitor := s.visitor()
			awaitBody(t, visitor, url, "quick", 5*time.Second)
			before := s.baseline()
			heal := drop(t, link, bothWays)

			eventually(t, 45*time.Second, func() error {
				impatient := *visitor
				impatient.Timeout = time.Second
				response, _, err := tryFetch(&impatient, url)
				if err != nil {
					return err
				}
				if response.StatusCode != 404 {
					return fmt.Errorf("the endpoint of a lost agent answers %s", response.Status)
				}
				return nil
			})
			agent.waitFor("starting reconnect loop", 25*time.Second)
			heal()
			awaitBody(t, visitor, url, "quick", 6*time.Second)
			s.returnsTo(before)
		})
	}
}
