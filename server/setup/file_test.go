package setup_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/setup"
)

func TestFileIsWrittenOnceAndEditedInPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "etc", "server.yml")
	wishes := []setup.Wish{{"domain", "example.com"}, {"listen.https", ":8443"}, {"listen.http", ":8080"}, {"trusted_proxies", "10.0.0.0/8,192.0.2.1"}}
	file, err := setup.PlanFile(path, wishes)
	if err != nil || !file.New || !file.Changed() {
		t.Fatalf("%+v %v", file, err)
	}
	if err := file.Write(); err != nil {
		t.Fatal(err)
	}
	want := `domain: example.com
listen:
  https: ":8443"
  http: ":8080"
trusted_proxies: [10.0.0.0/8, 192.0.2.1]
`
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(text), want) {
		t.Fatalf("%v\n%s", err, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info, err)
	}
	if again, err := setup.PlanFile(path, wishes); err != nil || again.Changed() {
		t.Errorf("the same wishes change the file: %v\n%s", err, again.Diff())
	}
}

func TestEditsKeepWhatElseAFileSays(t *testing.T) {
	const before = `# ours, by hand
domain: example.com # the company's

listen:
    https: ":8443"   # behind the balancer
    # no http here

    tcp_ports: 20000-20099
tls: {mode: local_ca}
regions:
- eu
log:
  level: debug
`
	domain := setup.Wish{Key: "domain", Value: "example.com"}
	for name, c := range map[string]struct {
		wishes []setup.Wish
		diff   string // the lines that change
		code   postern.Code
	}{
		"nothing":          {[]setup.Wish{{"domain", "example.com"}, {"listen.https", "8443"}, {"log.level", "debug"}}, "", ""},
		"a key":            {[]setup.Wish{{"domain", "example.org"}}, "-domain: example.com # the company's\n+domain: example.org # the company's\n", ""},
		"in a section":     {[]setup.Wish{domain, {"listen.https", ":443"}}, "-    https: \":8443\"   # behind the balancer\n+    https: \":443\" # behind the balancer\n", ""},
		"new in a section": {[]setup.Wish{domain, {"listen.http", ":81"}}, "+    http: \":81\"\n", ""},
		"a new section":    {[]setup.Wish{domain, {"limits.connections", "7777"}}, "+limits:\n+  connections: 7777\n", ""},
		"a new key":        {[]setup.Wish{domain, {"access_log", "stdout"}}, "+access_log: stdout\n", ""},
		"in braces":        {[]setup.Wish{domain, {"tls.mode", "files"}, {"tls.certificates", "a.pem=a.key"}}, "", postern.CodeConfigInvalid},
		"a bad answer":     {[]setup.Wish{{"domain", "not a domain"}}, "", postern.CodeConfigInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "server.yml")
			if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
			file, err := setup.PlanFile(path, c.wishes)
			if c.code != "" {
				if !postern.HasCode(err, c.code) {
					t.Errorf("got %v, want %s", err, c.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var changes strings.Builder
			for line := range strings.Lines(file.Diff()) {
				if !strings.HasPrefix(line, " ") && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "+++") {
					changes.WriteString(line)
				}
			}
			if changes.String() != c.diff || file.Changed() != (c.diff != "") {
				t.Errorf("got\n%swant\n%s", &changes, c.diff)
			}
			if err := file.Write(); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info, err)
			}
		})
	}
}

// systemd itself reads the unit, and thinks well of it.
func TestUnitIsSystemds(t *testing.T) {
	binary, err := exec.LookPath("true")
	if err != nil {
		t.Fatal(err)
	}
	unit := setup.Service{Binary: binary, Config: "/etc/postern/a name with $ and %.yml", DataDir: setup.StateDir}.Unit()
	path := filepath.Join(t.TempDir(), "postern-server.service")
	if err := os.WriteFile(path, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	output, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", path).CombinedOutput()
	if err != nil || strings.Contains(string(output), path) {
		t.Errorf("systemd-analyze verify: %v\n%s", err, output)
	}
	output, err = exec.CommandContext(t.Context(), "systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=30", path).CombinedOutput()
	if err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, output)
	}
	if elsewhere := (setup.Service{Binary: binary, Config: "/c", DataDir: "/srv/postern data"}).Unit(); !strings.Contains(elsewhere, "ReadWritePaths=\"/srv/postern data\"\n") || strings.Contains(elsewhere, "StateDirectory=") {
		t.Errorf("the unit for another data directory:\n%s", elsewhere)
	}
}
