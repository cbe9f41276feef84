package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

const insideNamespace = "POSTERN_E2E_NAMESPACE"

// inNamespace runs the calling test again in a network namespace of its own (only
// a loopback device), where it may drop packets without harm to the machine. It
// returns true inside; outside it reports what the inner run said, and returns
// false.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideNamespace) != "" {
		return true
	}
	argv := []string{"unshare", "--net"}
	if os.Getuid() != 0 {
		argv = append(argv, "--map-root-user")
	}
	argv = append(argv, "sh", "-c", `ip link set lo up && exec "$0" "$@"`,
		os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=3m")
	command := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	command.Env = append(os.Environ(), insideNamespace+"=1", "POSTERN_E2E_BINARY="+posternBinary)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("in its namespace: %v\n%s", err, output)
	}
	return false
}

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
			if !inNamespace(t) {
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
