package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a Linux whose stores of certificates are its own: folders of this one's that
// are mounted over the real ones, in a mount namespace of each command.
type machine struct {
	t   *testing.T
	dir string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t, t.TempDir()}
	for _, folder := range []string{"local", "home"} {
		if err := os.Mkdir(filepath.Join(m.dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", "/etc/ssl/certs", filepath.Join(m.dir, "certs")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return m
}

// wrapped is a command line on it.
func (m *machine) wrapped(argv ...string) []string {
	const mounts = `mount --bind "$0/certs" /etc/ssl/certs && mount --bind "$0/local" /usr/local/share/ca-certificates && exec "$@"`
	wrapper := append(append([]string{"unshare", "--mount"}, mapUser()...), "sh", "-c", mounts, m.dir)
	return append(wrapper, argv...)
}

func (m *machine) environment() []string {
	return []string{"HOME=" + filepath.Join(m.dir, "home"), "XDG_CONFIG_HOME=", "SUDO_USER=", "CURL_CA_BUNDLE="}
}

// run runs a program on it.
func (m *machine) run(argv ...string) (string, error) {
	m.t.Helper()
	argv = m.wrapped(argv...)
	command := exec.CommandContext(m.t.Context(), argv[0], argv[1:]...)
	command.Env = append(os.Environ(), m.environment()...)
	out, err := command.CombinedOutput()
	return string(out), err
}

// must runs one that succeeds.
func (m *machine) must(argv ...string) string {
	m.t.Helper()
	out, err := m.run(argv...)
	if err != nil {
		m.t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return out
}

// A machine that has never seen the server trusts it after one command, by the real
// programs of the system, and does not any more after another.
func TestMachineTrustsTheServer(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "no warning") }))
	defer upstream.Close()
	s := startServer(t)
	_, address := s.agent("http", upstream.URL)
	public, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	m := newMachine(t)
	visit := []string{"curl", "-sS", "--max-time", "30", "--resolve", public.Host + ":127.0.0.1", address}
	refused := func(when string) {
		t.Helper()
		if out, err := m.run(visit...); err == nil || !strings.Contains(out, "certificate") {
			t.Errorf("%s: %q, %v", when, out, err)
		}
	}
	refused("before")
	dry := m.must(posternBinary, "ca", "trust", "--file", s.caFile, "--dry-run")
	if !strings.Contains(dry, "install -m 644 CA.pem /usr/local/share/ca-certificates/postern-") || !strings.Contains(dry, "update-ca-certificates") || !strings.Contains(dry, "certutil -N -d sql:") {
		t.Errorf("dry run: %s", dry)
	}
	refused("after a dry run")
	if out, err := m.run(posternBinary, "ca", "trust", "--file", s.caFile); err == nil || !strings.Contains(out, "give --yes") {
		t.Errorf("unasked: %s, %v", out, err)
	}
	m.answersNo(s)
	refused("after a no")
	if out := m.must(posternBinary, "ca", "trust", "--file", s.caFile, "--yes"); strings.Count(out, "  added ") != 2 {
		t.Errorf("trust: %s", out)
	}
	if out := m.must(visit...); out != "no warning" {
		t.Errorf("curl: %q", out)
	}
	again := m.must(posternBinary, "ca", "trust", "--yes", "--file", s.caFile, "--format", "json")
	var reports []struct {
		Stores []struct{ State string }
	}
	if err := json.Unmarshal([]byte(again), &reports); err != nil || len(reports) != 1 || len(reports[0].Stores) != 2 || reports[0].Stores[0].State != "already there" {
		t.Errorf("again: %s, %v", again, err)
	}
	if out := m.must(posternBinary, "ca", "untrust", "--yes"); strings.Count(out, "  removed ") != 2 {
		t.Errorf("untrust: %s", out)
	}
	refused("after untrust")
	if out, err := m.run(posternBinary, "ca", "untrust", "--yes"); err == nil || !strings.Contains(out, "has put no CA") {
		t.Errorf("untrust again: %s, %v", out, err)
	}
	if left, err := filepath.Glob(filepath.Join(m.dir, "local", "*")); len(left) > 0 || err != nil {
		t.Errorf("left: %q", left)
	}
}

// answersNo is somebody who is asked on a terminal, and does not want that.
func (m *machine) answersNo(s *server) {
	m.t.Helper()
	p := onTerminal(m.t, m.environment(), m.wrapped(posternBinary, "ca", "trust", "--file", s.caFile)...)
	for _, part := range []string{"Fingerprint   " + s.caPin(), "Vouches for   " + domain, "would be added", "the system (/usr/local/share/ca-certificates)", "Trust it? [y/N]"} {
		p.await(part)
	}
	p.Press("\r")
	p.await("nothing was changed")
	if status := p.end(); status != 1 {
		m.t.Errorf("the answer no ends with %d", status)
	}
	p = onTerminal(m.t, m.environment(), m.wrapped(posternBinary, "ca", "trust", "--file", s.caFile)...)
	p.await("Trust it? [y/N]")
	p.Press("\x03")
	p.await("nothing was changed: interrupted")
	if status := p.end(); status != 1 {
		m.t.Errorf("Ctrl+C ends with %d", status)
	}
	p = onTerminal(m.t, m.environment(), m.wrapped(posternBinary, "ca", "trust", "--only", "browsers", "--file", s.caFile)...)
	p.await("Trust it? [y/N]")
	p.Press("y\r")
	if status := p.end(); status != 0 {
		m.t.Errorf("the answer yes ends with %d", status)
	}
	if out := m.must(posternBinary, "ca", "untrust", "--yes"); !strings.Contains(out, "  removed ") || !strings.Contains(out, "  not there ") {
		m.t.Errorf("untrust: %s", out)
	}
}

// From another machine the pin says which CA is meant: nothing is taken on trust.
func TestMachineTrustsTheServerByItsPin(t *testing.T) {
	s := startServer(t)
	m := newMachine(t)
	address := fmt.Sprintf("127.0.0.1:%d", s.https)
	trust := []string{posternBinary, "ca", "trust", "--yes", "--only", "system", "--server", address}
	pin := s.caPin()
	out, err := m.run(trust...)
	if err == nil || !strings.Contains(out, "without --ca-pin it could be anybody's") || !strings.Contains(out, pin) {
		t.Errorf("without a pin: %s, %v", out, err)
	}
	if out, err := m.run(append(trust, "--ca-pin", "sha256:"+strings.Repeat("ab", 32))...); err == nil || !strings.Contains(out, "Somebody else answers") {
		t.Errorf("with another's: %s, %v", out, err)
	}
	if files, err := filepath.Glob(filepath.Join(m.dir, "local", "*")); len(files) > 0 || err != nil {
		t.Errorf("added: %q", files)
	}
	if out := m.must(append(trust, "--ca-pin", pin)...); !strings.Contains(out, "  added ") || !strings.Contains(out, pin) {
		t.Errorf("with its pin: %s", out)
	}
	if out := m.must(posternBinary, "ca", "untrust", "--yes", "--only", "system", "--ca-pin", pin); !strings.Contains(out, "  removed ") {
		t.Errorf("untrust: %s", out)
	}
	custom := filepath.Join(filepath.Dir(s.caFile), "custom-ca.pem")
	if out, err := m.run(posternBinary, "ca", "trust", "--yes", "--file", custom); err == nil || !strings.Contains(out, "is not for trusting") {
		t.Errorf("the CA for custom names: %s, %v", out, err)
	}
}
