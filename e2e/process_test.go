package e2e_test

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
	"github.com/postern-dev/postern/internal/testkit/pebble"
	"github.com/postern-dev/postern/internal/testkit/ports"
)

// posternBinary is the program under test, built once by TestMain.
var posternBinary string

func TestMain(m *testing.M) {
	pebble.Become()
	if orders := os.Getenv(herdVariable); orders != "" {
		os.Exit(runHerd(orders))
	}
	if orders := os.Getenv(chiselVariable); orders != "" {
		os.Exit(runChisel(orders))
	}
	if orders := os.Getenv(sdkVariable); orders != "" {
		os.Exit(runSDK(orders))
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "postern-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if posternBinary, err = program.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv("POSTERN_E2E_BINARY", posternBinary) // for tests that run again in a namespace
	return m.Run()
}

// process is a program that runs beside the test and ends with it at the latest.
type process struct {
	*program.Process
	t *testing.T
}

// startProcess runs a program in its own process group, with environment added to
// the test's. Its output is shown when the test fails.
func startProcess(t *testing.T, name string, environment []string, argv ...string) *process {
	t.Helper()
	started, err := program.Start(name, environment, nil, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return adopt(t, started)
}

// adopt makes the test responsible for a process.
func adopt(t *testing.T, started *program.Process) *process {
	p := &process{started, t}
	t.Cleanup(p.end)
	return p
}

func (p *process) end() {
	p.Kill()
	if p.t.Failed() {
		p.t.Logf("---- %s printed:\n%s", p.Name, tail(p.output(), 12000))
	}
}

func (p *process) signal(sig syscall.Signal) { p.Signal(sig) }

func (p *process) output() string { return p.Output() }

func (p *process) exited() bool { return p.Exited() }

// wait returns the exit code, or fails the test when the process lives on.
func (p *process) wait(limit time.Duration) int {
	p.t.Helper()
	code, err := p.Wait(limit)
	if err != nil {
		p.t.Fatal(err)
	}
	return code
}

// cpu is the processor time that the process has used.
func (p *process) cpu() time.Duration {
	p.t.Helper()
	used, err := p.CPU()
	if err != nil {
		p.t.Fatal(err)
	}
	return used
}

func (p *process) waitFor(text string, limit time.Duration) {
	p.t.Helper()
	eventually(p.t, limit, func() error {
		if strings.Contains(p.output(), text) {
			return nil
		}
		if p.exited() {
			return fmt.Errorf("%s ended before it printed %q", p.Name, text)
		}
		return fmt.Errorf("%s has not printed %q", p.Name, text)
	})
}

// eventually asks every 10 ms until check is content.
func eventually(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	if err := program.Eventually(limit, check); err != nil {
		t.Fatal(err)
	}
}

// freePorts are ports of 127.0.0.1 that nobody else uses during the test.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	return ports.For(t, n).All()
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}
