//go:build linux

package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit/path"
)

// flapping is a network that comes and goes every two seconds. Either packets vanish
// meanwhile, and connections may survive; or, as behind an address translation that
// forgets, every connection is reset and none can be made.
func flapping(t *testing.T, resets bool) {
	const cycles = 10
	const onlineEndpoints = `postern_endpoints{scheme="https"}`
	d := startDistant(t, path.Both(path.Way{Delay: 10 * time.Millisecond}))
	service, _ := d.serve(bulkService())
	agent, url := d.agent("http", service)
	visitor := d.patient()
	visitor.Timeout = 10 * time.Second
	awaitBody(t, visitor, url+"/small", "small", 5*time.Second)
	before := d.baseline()
	resident, _ := agent.resident()

	_, port, _ := strings.Cut(d.connect, ":")
	attempts := countAttempts(t, port)
	for range cycles {
		var heal func()
		if resets {
			heal = reject(t, port)
		} else {
			d.path.Dark(true)
			heal = func() { d.path.Dark(false) }
		}
		pause(t, 2*time.Second)
		heal()
		pause(t, 2*time.Second)
		if n := d.metric(onlineEndpoints); n > 1 {
			t.Errorf("the one endpoint is online %v times", n)
		}
	}
	// The promise is 5 s; a request that was on its way may have to be asked again.
	awaitBody(t, visitor, url+"/small", "small", 6*time.Second)

	sessions, tried := strings.Count(d.process.output(), `"session started"`), attempts()
	t.Logf("%d sessions and %d attempts to connect in %d cycles", sessions, tried, cycles)
	if sessions > cycles+1 || resets && sessions < 2 {
		t.Errorf("%d sessions in %d cycles", sessions, cycles)
	}
	if tried > cycles*12 {
		t.Errorf("%d attempts to connect in %d cycles", tried, cycles)
	}
	for name, metric := range map[string]string{"session": `postern_agent_sessions{transport="postern/1"}`, "endpoint": onlineEndpoints} {
		eventually(t, 25*time.Second, func() error {
			if n := d.metric(metric); n != 1 {
				return fmt.Errorf("%v of the one %s", n, name)
			}
			return nil
		})
	}
	urls, err := agent.Online(1)
	if err != nil || urls[0] != url || len(urls) > 2 { // https, and http beside it
		t.Errorf("the URL was %s and is %s, %v", url, urls, err)
	}
	if now, _ := agent.resident(); now > resident+16<<20 {
		t.Errorf("the agent held %d KiB and holds %d", resident>>10, now>>10)
	}
	visitor.CloseIdleConnections()
	d.returnsTo(before)
}

// reject resets every connection to the port, and refuses new ones, until heal.
func reject(t *testing.T, port string) (heal func()) {
	t.Helper()
	rule := []string{"INPUT", "-p", "tcp", "--dport", port, "-j", "REJECT", "--reject-with", "tcp-reset"}
	run(t, nil, append([]string{"iptables", "-w", "-A"}, rule...)...)
	return func() { run(t, nil, append([]string{"iptables", "-w", "-D"}, rule...)...) }
}

// countAttempts counts the connections that are begun to a port, whatever becomes of
// them.
func countAttempts(t *testing.T, port string) (attempts func() int) {
	t.Helper()
	run(t, nil, "iptables", "-w", "-t", "raw", "-A", "PREROUTING", "-p", "tcp", "--dport", port, "--syn")
	return func() int {
		for line := range strings.Lines(run(t, nil, "iptables", "-w", "-t", "raw", "-L", "PREROUTING", "-v", "-n", "-x")) {
			var n int
			if strings.Contains(line, "dpt:"+port) {
				if _, err := fmt.Sscan(line, &n); err == nil {
					return n
				}
			}
		}
		t.Fatal("iptables does not count")
		return 0
	}
}
