package config_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// A setting is saved where its file's generation has it, and the rest of the file,
// comments included, stays as it was.
func TestSave(t *testing.T) {
	for name, c := range map[string]struct{ before, after string }{
		"nothing":     {"", "version: \"3\"\nagent:\n  authtoken: new_token\n"},
		"comment":     {"# mine\n", "# mine\nversion: \"3\"\nagent:\n  authtoken: new_token\n"},
		"version 2":   {"version: \"2\" # v\nauthtoken: old # the token\ntunnels: {}\n", "version: \"2\" # v\nauthtoken: new_token # the token\ntunnels: {}\n"},
		"quoted":      {"authtoken: 'ol#d'   # t\n", "authtoken: new_token   # t\n"},
		"absent":      {"tunnels:\n  a: {proto: http, addr: 1}", "tunnels:\n  a: {proto: http, addr: 1}\nauthtoken: new_token\n"},
		"empty value": {"authtoken:\nregion: us\n", "authtoken: new_token\nregion: us\n"},
		"version 3":   {"version: 3\nagent:\n    log: stdout\n    authtoken: old\n", "version: 3\nagent:\n    log: stdout\n    authtoken: new_token\n"},
		"3, absent":   {"version: 3\nagent:\n    log: stdout\nendpoints: []\n", "version: 3\nagent:\n    authtoken: new_token\n    log: stdout\nendpoints: []\n"},
		"3, no agent": {"version: 3\n", "version: 3\nagent:\n  authtoken: new_token\n"},
		"3, empty":    {"version: 3\nagent:\n", "version: 3\nagent:\n  authtoken: new_token\n"},
		"windows":     {"authtoken: old\r\nregion: us\r\n", "authtoken: new_token\r\nregion: us\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "deep", "postern.yml")
			if c.before != "" {
				if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(c.before), 0o640); err != nil {
					t.Fatal(err)
				}
			}
			if err := config.Save(path, config.Setting{Key: "authtoken", Value: "new_token"}); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != c.after {
				t.Errorf("%q became\n%q, want\n%q (%v)", c.before, got, c.after, err)
			}
			if read, err := config.Load(path); err != nil || read.Authtoken.Reveal() != "new_token" {
				t.Errorf("it reads as %q, %v", read.Authtoken.Reveal(), err)
			}
			info, _ := os.Stat(path)
			if want := map[bool]os.FileMode{true: 0o600, false: 0o640}[c.before == ""]; runtime.GOOS != "windows" && info.Mode().Perm() != want {
				t.Errorf("mode %v, want %v", info.Mode().Perm(), want)
			}
		})
	}
}

func TestSaveSeveral(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.yml")
	err := config.Save(path, config.Setting{Key: "connect_url", Value: "connect.example.com:443"}, config.Setting{Key: "authtoken", Value: "true"},
		config.Setting{Key: "metadata", Value: "a \"b\": #c\n"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil || c.Server() != "connect.example.com:443" || c.Authtoken.Reveal() != "true" || c.Metadata != "a \"b\": #c\n" {
		t.Errorf("%+v, %v", c, err)
	}
}

// What cannot be edited stays untouched.
func TestSaveRefuses(t *testing.T) {
	for before, want := range map[string]string{
		"a: [":                               "not YAML",
		"\tauthtoken: x":                     "tab",
		"authtoken: |\n  long\n":             "cannot be edited",
		"version: 3\nagent: {log: stdout}\n": "written in braces",
		"authtoken: {YOUR_TOKEN}\n":          "cannot be edited",
		"- authtoken: x\n":                   "must be a mapping",
		"version: 3\nagent: [a]\n":           "agent must be a mapping",
		"authtoken:\n  - one\n":              "cannot be edited",
	} {
		path := filepath.Join(t.TempDir(), "f.yml")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		err := config.Save(path, config.Setting{Key: "authtoken", Value: "x"})
		if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", before, err, want)
		}
		if after, _ := os.ReadFile(path); string(after) != before {
			t.Errorf("%q was changed to %q", before, after)
		}
	}
	if runtime.GOOS != "windows" {
		if err := config.Save(filepath.Join("/dev/null", "f.yml"), config.Setting{Key: "authtoken", Value: "x"}); !postern.HasCode(err, postern.CodeFileUnreadable) {
			t.Errorf("nowhere to write: %v", err)
		}
	}
}

// What is saved is what is read, whatever stood in the file.
func FuzzSave(f *testing.F) {
	f.Add("version: 3\nagent: # a\n  authtoken: 'x' # y\n", "abc")
	f.Add("authtoken: \"a\\\"b\" # c", "1e5")
	f.Fuzz(func(t *testing.T, before, value string) {
		path := filepath.Join(t.TempDir(), "f.yml")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		old, err := config.Load(path)
		if err != nil || value == "" || strings.ToValidUTF8(value, "") != value {
			return
		}
		if err := config.Save(path, config.Setting{Key: "metadata", Value: value}); err != nil {
			return
		}
		c, err := config.Load(path)
		if err != nil {
			text, _ := os.ReadFile(path)
			t.Fatalf("%q became %q: %v", before, text, err)
		}
		if c.Metadata != value || len(c.Endpoints) != len(old.Endpoints) || c.Authtoken != old.Authtoken {
			text, _ := os.ReadFile(path)
			t.Fatalf("%q became %q: metadata %q, want %q", before, text, c.Metadata, value)
		}
	})
}
