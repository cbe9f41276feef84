package truststore_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/authority"
	"github.com/postern-dev/postern/internal/truststore"
)

func newCA(t testing.TB) *authority.Authority {
	t.Helper()
	ca, err := authority.Init(filepath.Join(t.TempDir(), "ca"), authority.Root{Domains: []string{"trusted.example"}, Layout: authority.Tree}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// programs stands in for those of a system: it notes what is run, and keeps the
// certificates of a key chain or root store as those do.
type programs struct {
	t       testing.TB
	ran     []string
	missing []string          // not installed
	fail    string            // a part of the command that fails
	kept    map[string]string // by what they are asked for
}

func (p *programs) look(name string) (string, error) {
	if slices.Contains(p.missing, name) {
		return "", errors.New("not found")
	}
	return "/usr/bin/" + name, nil
}

func (p *programs) run(_ context.Context, c truststore.Command) ([]byte, error) {
	text := c.String()
	for _, argument := range c.Args { // files of a moment have no lasting names
		if strings.HasPrefix(filepath.Base(argument), "postern-ca-") {
			if content, err := os.ReadFile(argument); err != nil || !strings.Contains(string(content), "BEGIN CERTIFICATE") {
				p.t.Errorf("%s: %v", text, err)
			}
			text = strings.ReplaceAll(text, argument, "CA.pem")
		}
	}
	p.ran = append(p.ran, text)
	if p.fail != "" && strings.Contains(text, p.fail) {
		return nil, errors.New("it failed")
	}
	return p.answer(text)
}

// answer is what key chains and root stores say.
func (p *programs) answer(text string) ([]byte, error) {
	for asked, said := range p.kept {
		if strings.Contains(text, asked) {
			if said == "" {
				return nil, errors.New("there is none")
			}
			return []byte(said), nil
		}
	}
	return nil, nil
}

func states(outcomes []truststore.Outcome) string {
	var texts []string
	for _, o := range outcomes {
		text := string(o.State)
		if o.Err != nil {
			text += ": " + o.Err.Error()
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "; ")
}

// Every Linux has its own folder and its own command.
func TestAnchors(t *testing.T) {
	ca, other := newCA(t).Certificate, newCA(t).Certificate
	for folder, command := range map[string]string{
		"/usr/local/share/ca-certificates":          "update-ca-certificates",
		"/etc/pki/ca-trust/source/anchors":          "update-ca-trust extract",
		"/etc/ca-certificates/trust-source/anchors": "trust extract-compat",
		"/etc/pki/trust/anchors":                    "update-ca-certificates",
	} {
		p := &programs{t: t}
		m := truststore.Machine{OS: "linux", Root: t.TempDir(), Superuser: true, Look: p.look, Run: p.run, Records: filepath.Join(t.TempDir(), "records")}
		if err := os.MkdirAll(filepath.Join(m.Root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		in := func() int {
			files, err := os.ReadDir(filepath.Join(m.Root, folder))
			if err != nil {
				t.Fatal(err)
			}
			return len(files)
		}
		expect := func(what string, outcomes []truststore.Outcome, state truststore.State, files, runs int) {
			t.Helper()
			if states(outcomes) != string(state) || in() != files || len(p.ran) != runs {
				t.Errorf("%s, %s: %s, %d files, ran %q", folder, what, states(outcomes), in(), p.ran)
			}
		}
		ctx := t.Context()
		dry := m.Trust(ctx, ca, truststore.System, true)
		expect("dry run", dry, truststore.WouldAdd, 0, 0)
		if len(dry[0].Commands) != 2 || dry[0].Commands[1] != command || !strings.Contains(dry[0].Commands[0], folder) {
			t.Errorf("%s: %q", folder, dry[0].Commands)
		}
		expect("trust", m.Trust(ctx, ca, truststore.All, false), truststore.Added, 1, 1)
		expect("again", m.Trust(ctx, ca, truststore.All, false), truststore.AlreadyThere, 1, 1)
		expect("another", m.Trust(ctx, other, truststore.All, false), truststore.Added, 2, 2)
		if recorded, err := m.Recorded(); err != nil || len(recorded) != 2 {
			t.Errorf("%d are recorded, %v", len(recorded), err)
		}
		expect("dry untrust", m.Untrust(ctx, ca, truststore.All, true), truststore.WouldRemove, 2, 2)
		expect("untrust", m.Untrust(ctx, ca, truststore.All, false), truststore.Removed, 1, 3)
		expect("untrust again", m.Untrust(ctx, ca, truststore.All, false), truststore.NotThere, 1, 3)
		if recorded, err := m.Recorded(); err != nil || len(recorded) != 1 || !recorded[0].Equal(other) {
			t.Errorf("%v are recorded, %v", recorded, err)
		}
		for _, ran := range p.ran {
			if ran != command {
				t.Errorf("%s: ran %q", folder, ran)
			}
		}
	}
}

// What cannot be done says how it can be, and nothing is done by halves.
func TestAnchorsRefuse(t *testing.T) {
	ca := newCA(t).Certificate
	folder := "/usr/local/share/ca-certificates"
	machine := func(p *programs) truststore.Machine {
		p.t = t
		m := truststore.Machine{OS: "linux", Root: t.TempDir(), Superuser: true, Look: p.look, Run: p.run}
		if err := os.MkdirAll(filepath.Join(m.Root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
		return m
	}
	user := machine(new(programs))
	user.Superuser = false
	nothing := machine(new(programs))
	nothing.Root = t.TempDir()
	for what, c := range map[string]struct {
		truststore.Machine
		fault string
		files int
	}{
		"not root":        {user, "Run the same command with sudo and --only system, or by hand: sudo install -m 644 CA.pem", 0},
		"no program":      {machine(&programs{missing: []string{"update-ca-certificates"}}), "install the package ca-certificates", 0},
		"no folder":       {nothing, "Debian, Red Hat, Arch and SUSE", 0},
		"a program fails": {machine(&programs{fail: "update"}), "is in place, but", 1},
	} {
		outcomes := c.Trust(t.Context(), ca, truststore.All, false)
		files, err := filepath.Glob(filepath.Join(c.Root, folder, "*"))
		if len(outcomes) != 1 || outcomes[0].State != truststore.Failed || !strings.Contains(states(outcomes), c.fault) || len(files) != c.files || err != nil {
			t.Errorf("%s: %s, files %q", what, states(outcomes), files)
		}
	}
}

// The commands on macOS and Windows, to the letter.
func TestOtherSystems(t *testing.T) {
	ca := newCA(t).Certificate
	sum256, sum1 := sha256.Sum256(ca.Raw), sha1.Sum(ca.Raw)
	upper, thumb := strings.ToUpper(hex.EncodeToString(sum256[:])), hex.EncodeToString(sum1[:])
	home := t.TempDir()
	chain := filepath.Join(home, "Library/Keychains/login.keychain-db")
	find := "security find-certificate -a -Z " + chain
	windows := `'C:\Windows/System32/certutil.exe' -user `
	for system, c := range map[string]struct {
		absent, present map[string]string
		trust, untrust  []string
	}{
		"darwin": {
			map[string]string{"find-certificate": "SHA-256 hash: 00\n"}, map[string]string{"find-certificate": "SHA-256 hash: " + upper + "\nSHA-1 hash: 11\n"},
			[]string{find, "security add-trusted-cert -r trustRoot -p ssl -k " + chain + " CA.pem"},
			[]string{find, "security remove-trusted-cert CA.pem", "security delete-certificate -Z " + upper + " " + chain},
		},
		"windows": {
			map[string]string{"-store Root " + thumb: ""}, map[string]string{"-store Root " + thumb: "Cert Hash(sha1): " + thumb},
			[]string{windows + "-store Root " + thumb, windows + "-store Root", windows + "-addstore Root CA.pem"},
			[]string{windows + "-store Root " + thumb, windows + "-delstore Root " + thumb},
		},
	} {
		getenv := func(name string) string {
			if name == "SystemRoot" {
				return `C:\Windows`
			}
			return ""
		}
		machine := func(p *programs) truststore.Machine {
			p.t = t
			return truststore.Machine{OS: system, Home: home, Look: p.look, Run: p.run, Getenv: getenv}
		}
		p := &programs{kept: c.absent}
		if outcomes := machine(p).Trust(t.Context(), ca, truststore.All, false); states(outcomes) != string(truststore.Added) || !slices.Equal(p.ran, c.trust) {
			t.Errorf("%s: %s, ran\n%s", system, states(outcomes), strings.Join(p.ran, "\n"))
		}
		p = &programs{kept: c.present}
		if outcomes := machine(p).Trust(t.Context(), ca, truststore.All, false); states(outcomes) != string(truststore.AlreadyThere) {
			t.Errorf("%s: again: %s, ran %q", system, states(outcomes), p.ran)
		}
		p = &programs{kept: c.present}
		m := machine(p)
		outcomes := m.Untrust(t.Context(), ca, truststore.All, false)
		if states(outcomes) != string(truststore.Removed) || !slices.Equal(p.ran[:len(c.untrust)], c.untrust) {
			t.Errorf("%s: %s, ran\n%s", system, states(outcomes), strings.Join(p.ran, "\n"))
		}
		p = &programs{kept: c.absent}
		for what, outcomes := range map[string][]truststore.Outcome{
			"trust": machine(p).Trust(t.Context(), ca, truststore.All, true), "browsers": machine(p).Trust(t.Context(), ca, truststore.Browsers, false),
		} {
			if strings.Contains(fmt.Sprint(p.ran), "add") || what == "browsers" && len(outcomes) != 0 {
				t.Errorf("%s, %s: %s, ran %q", system, what, states(outcomes), p.ran)
			}
		}
		p = &programs{kept: c.absent, fail: "add"}
		if outcomes := machine(p).Trust(t.Context(), ca, truststore.All, false); states(outcomes) != "failed: it failed" {
			t.Errorf("%s: %s", system, states(outcomes))
		}
	}
}

// Under sudo it is the caller's browser, changed as the caller.
func TestSudo(t *testing.T) {
	ca, home := newCA(t).Certificate, t.TempDir()
	if err := os.MkdirAll(filepath.Join(home, ".pki/nssdb"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".pki/nssdb/cert9.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &programs{t: t}
	m := truststore.Machine{OS: "linux", Home: home, As: "alice", Superuser: true, Look: p.look, Run: p.run}
	m.Trust(t.Context(), ca, truststore.Browsers, false)
	if len(p.ran) == 0 {
		t.Fatal("nothing was run")
	}
	for _, ran := range p.ran {
		if !strings.HasPrefix(ran, "sudo -u alice -H -- certutil -") {
			t.Errorf("ran %q", ran)
		}
	}
	p = &programs{t: t, missing: []string{"certutil"}}
	m.Look, m.Run = p.look, p.run
	if outcomes := m.Trust(t.Context(), ca, truststore.Browsers, false); !strings.Contains(states(outcomes), "libnss3-tools") || len(p.ran) > 0 {
		t.Errorf("%s, ran %q", states(outcomes), p.ran)
	}
}
