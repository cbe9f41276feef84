package server_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/seal"
)

// begins opens a server and closes it again.
func begins(t *testing.T, c server.Config) error {
	t.Helper()
	n, err := server.New(c, server.Options{Logger: testkit.Logger(t)})
	if err != nil {
		return err
	}
	return n.Close()
}

func writeKeys(t *testing.T, path string, keys ...seal.Key) {
	t.Helper()
	if err := os.WriteFile(path, seal.FormatKeys(keys), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readKeys(t *testing.T, path string) []seal.Key {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := seal.ParseKeys(text)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// The key of an installation is made once; a server without it, or with another one, does
// not start, instead of finding out at the first visit that needs it.
func TestSealingKeyIsMadeOnce(t *testing.T) {
	for name, config := range map[string]func(*testing.T) server.Config{"SQLite": testConfig, "PostgreSQL": postgresConfig} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			if err := begins(t, c); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(c.DataDir, "sealing.keys")
			first, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			if err := begins(t, c); err != nil {
				t.Fatal(err)
			}
			if again, err := os.ReadFile(path); err != nil || string(again) != string(first) {
				t.Errorf("the second start made another key: %v", err)
			}
			for what, spoil := range map[string]struct {
				do   func() error
				code postern.Code
				says string
			}{
				"another key": {func() error { return os.WriteFile(path, seal.FormatKeys([]seal.Key{seal.NewKey()}), 0o600) }, postern.CodeSealingKeyMissing, "sealed with the key "},
				"no key":      {func() error { return os.Remove(path) }, postern.CodeSealingKeyMissing, path},
				"no file of keys": {func() error { return os.WriteFile(path, []byte("key"), 0o600) }, postern.CodeConfigInvalid,
					path + ": line 1: a sealing key is not base64"},
				"an empty file":  {func() error { return os.WriteFile(path, nil, 0o600) }, postern.CodeConfigInvalid, "there is no sealing key"},
				"open to others": {func() error { return os.Chmod(path, 0o640) }, postern.CodeConfigInvalid, "chmod 600"},
			} {
				if err := spoil.do(); err != nil {
					t.Fatal(err)
				}
				if err := begins(t, c); !postern.HasCode(err, spoil.code) || !strings.Contains(err.Error(), spoil.says) {
					t.Errorf("%s: %v", what, err)
				}
				_ = os.Remove(path)
				if err := os.WriteFile(path, first, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := begins(t, c); err != nil {
				t.Errorf("with its key again: %v", err)
			}
		})
	}
}

// Keys of the configuration are never written to the directory, and a server that had a
// key of its own keeps opening what that has sealed.
func TestSealingKeysOfTheConfiguration(t *testing.T) {
	c := testConfig(t)
	key := seal.NewKey()
	own := filepath.Join(c.DataDir, "sealing.keys")
	c.Sealing.Keys = []seal.Key{key}
	if err := begins(t, c); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(own); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory has keys: %v", err)
	}
	other := c
	other.Sealing.Keys = nil
	if err := begins(t, other); !postern.HasCode(err, postern.CodeSealingKeyMissing) {
		t.Errorf("without the key: %v", err)
	}
	other.Sealing.KeyFile = filepath.Join(t.TempDir(), "keys")
	if err := begins(t, other); !postern.HasCode(err, postern.CodeFileUnreadable) || !strings.Contains(err.Error(), other.Sealing.KeyFile) {
		t.Errorf("without the file: %v", err)
	}
	writeKeys(t, other.Sealing.KeyFile, seal.NewKey(), key)
	if err := begins(t, other); err != nil {
		t.Errorf("with the key in a file: %v", err)
	}
	if err := os.Chmod(other.Sealing.KeyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := begins(t, other); !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("with a file that others may read: %v", err)
	}

	moved := testConfig(t)
	if err := begins(t, moved); err != nil {
		t.Fatal(err)
	}
	moved.Sealing.Keys = []seal.Key{key}
	if err := begins(t, moved); err != nil {
		t.Errorf("beside the directory's own key: %v", err)
	}
}

func TestSealingSettings(t *testing.T) {
	key := seal.NewKey().Encode().Reveal()
	load := func(env map[string]string) (server.Config, error) {
		env["POSTERN_DOMAIN"] = "example.com"
		return server.Load("", func(name string) string { return env[name] }, nil)
	}
	for name, test := range map[string]struct{ value, says string }{
		"short":  {key[:40] + "====", "POSTERN_SEALING_KEY: a sealing key"},
		"a word": {"hunter2", "POSTERN_SEALING_KEY: a sealing key is not base64"},
		"twice":  {key + "," + key, "twice"},
	} {
		_, err := load(map[string]string{"POSTERN_SEALING_KEY": test.value})
		if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), test.value) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c, err := load(map[string]string{"POSTERN_SEALING_KEY": key, "POSTERN_SEALING_KEY_FILE": "/keys"})
	if err != nil || len(c.Sealing.Keys) != 1 || c.Sealing.Keys[0].Encode().Reveal() != key || c.Sealing.KeyFile != "/keys" {
		t.Fatalf("%+v, %v", c.Sealing, err)
	}
	for _, setting := range server.Settings() {
		if shown := setting.Value(c); strings.Contains(shown, key) {
			t.Errorf("%s shows the key: %s", setting.Key, shown)
		}
	}
}
