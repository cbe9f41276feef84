package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// place is a network of its own: the namespaces of one process that does nothing else.
// It has its own mounts too, so that files such as /etc/hosts can be its own.
type place struct {
	t    *testing.T
	name string
	pid  int
	dir  string // for the files of what runs there
}

// newPlace makes a place that is joined with the caller's network by one cable: the
// caller has ours on it, the place theirs. Call it in a namespace of the test's own.
func newPlace(t *testing.T, name, ours, theirs string) *place {
	t.Helper()
	// Not the test's own directory: those above it are closed to ordinary users.
	dir, err := os.MkdirTemp("", "postern-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	holder := startProcess(t, name, nil, "unshare", "--net", "--mount", "sh", "-c", "echo here; exec sleep 600")
	holder.waitFor("here", 5*time.Second)
	p := &place{t: t, name: name, pid: holder.PID(), dir: dir}
	run(t, nil, "ip", "link", "add", "to-"+name, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(p.pid))
	run(t, nil, "ip", "addr", "add", ours, "dev", "to-"+name)
	run(t, nil, "ip", "link", "set", "to-"+name, "up")
	p.run("ip", "link", "set", "lo", "up")
	p.run("ip", "addr", "add", theirs, "dev", "eth0")
	p.run("ip", "link", "set", "eth0", "up")
	return p
}

// in is argv, run in the place.
func (p *place) in(argv ...string) []string {
	return append([]string{"nsenter", "--net", "--mount", "--target", fmt.Sprint(p.pid), "--"}, argv...)
}

// as is argv, run in the place by an ordinary user.
func (p *place) as(user string, argv ...string) []string {
	return p.in(append([]string{"setpriv", "--reuid", user, "--regid", "nogroup", "--clear-groups", "--no-new-privs", "--"}, argv...)...)
}

func (p *place) run(argv ...string) string {
	p.t.Helper()
	return run(p.t, nil, p.in(argv...)...)
}

func (p *place) start(name string, argv ...string) *process {
	p.t.Helper()
	return startProcess(p.t, name, nil, p.in(argv...)...)
}

// of is the place for a test below the one that made it.
func (p *place) of(t *testing.T) *place {
	below := *p
	below.t = t
	return &below
}

// file writes a file of the place, which everybody may read, and gives its path.
func (p *place) file(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// directory makes a directory that everybody in the place may write to.
func (p *place) directory(name string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(path, 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Chmod(path, 0o777); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// names has the place know hosts, one "address name" each, and nobody else.
func (p *place) names(hosts ...string) {
	p.t.Helper()
	file := p.file("hosts", "127.0.0.1 localhost\n"+strings.Join(hosts, "\n")+"\n")
	p.run("mount", "--bind", file, "/etc/hosts")
}

// awaitPort waits until somebody in the place listens on a TCP port.
func (p *place) awaitPort(of *process, port int) {
	p.t.Helper()
	eventually(p.t, 20*time.Second, func() error {
		if of.exited() {
			return fmt.Errorf("%s has ended", of.Name)
		}
		if out := p.run("ss", "-Hltn", "sport", "=", fmt.Sprintf(":%d", port)); strings.TrimSpace(out) == "" {
			return fmt.Errorf("nobody listens on port %d, where %s should", port, of.Name)
		}
		return nil
	})
}

// kill ends a process of the place as a crash does.
func kill(p *process) {
	p.signal(syscall.SIGKILL)
	p.wait(5 * time.Second)
}
