package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// posternBinary is the program under test, built once by TestMain.
var posternBinary string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	if built := os.Getenv("POSTERN_E2E_BINARY"); built != "" {
		posternBinary = built
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "postern-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	posternBinary = filepath.Join(dir, "postern")
	build := exec.Command("go", "build", "-o", posternBinary, "github.com/postern-dev/postern/cmd/postern")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building postern:", err)
		return 1
	}
	os.Setenv("POSTERN_E2E_BINARY", posternBinary) // for tests that run again in a namespace of their own
	return m.Run()
}

// process is a program that runs beside the test and ends with it at the latest.
type process struct {
	t    *testing.T
	name string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait; valid once done is closed
	out  *log
}

// log gathers what a process prints and may be read while it is written.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startProcess runs a program in its own process group, with environment added to
// the test's. Its output is shown when the test fails.
func startProcess(t *testing.T, name string, environment []string, argv ...string) *process {
	t.Helper()
	p := &process{t: t, name: name, cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{}), out: &log{}}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go p.reap()
	t.Cleanup(p.end)
	return p
}

func (p *process) reap() {
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) end() {
	if !p.exited() {
		p.signal(syscall.SIGKILL)
	}
	<-p.done
	if p.t.Failed() {
		p.t.Logf("---- %s printed:\n%s", p.name, tail(p.output(), 12000))
	}
}

func (p *process) signal(sig syscall.Signal) {
	_ = syscall.Kill(-p.cmd.Process.Pid, sig) // gone already is what we want
}

func (p *process) output() string { return p.out.String() }

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// wait returns the exit code, or fails the test when the process lives on.
func (p *process) wait(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.t.Fatalf("%s still runs after %v", p.name, limit)
		return -1
	}
}

// cpu is the processor time that the process has used.
func (p *process) cpu() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		p.t.Fatal(err)
	}
	const ticks = 100 // USER_HZ
	return time.Duration(user+system) * time.Second / ticks
}

func (p *process) waitFor(text string, limit time.Duration) {
	p.t.Helper()
	eventually(p.t, limit, func() error {
		if strings.Contains(p.output(), text) {
			return nil
		}
		if p.exited() {
			return fmt.Errorf("%s ended before it printed %q", p.name, text)
		}
		return fmt.Errorf("%s has not printed %q", p.name, text)
	})
}

// eventually asks every 10 ms until check is content.
func eventually(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("not within %v: %v", limit, err)
		case <-tick.C:
		}
	}
}

// freePorts finds TCP ports of 127.0.0.1 that nobody uses now.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports
}

// freeRange finds n neighbouring ports below the range that the kernel hands out.
func freeRange(t *testing.T, n int) int {
	t.Helper()
	first := 20000 + (os.Getpid()*131)%9000
	for base := first; base < first+2000; base += n {
		if rangeIsFree(base, n) {
			return base
		}
	}
	t.Fatal("no free range of ports")
	return 0
}

func rangeIsFree(base, n int) bool {
	for port := base; port < base+n; port++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		listener.Close()
	}
	return true
}

func describe(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}

func tail(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return "…" + s[len(s)-n:]
}
