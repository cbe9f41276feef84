package server_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/seal"
	"github.com/postern-dev/postern/server/service"
)

const vaultSecrets = 3

// opened has fn use a server that is made and closed again.
func opened(t *testing.T, c server.Config, fn func(*server.Server)) {
	t.Helper()
	n, err := server.New(c, server.Options{Logger: testkit.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	fn(n)
	if err := n.Close(); err != nil {
		t.Error(err)
	}
}

// withSecrets makes an installation that has sealed something.
func withSecrets(t *testing.T, c server.Config) postern.AccountID {
	t.Helper()
	keys := bootstrap(t, c)
	by := service.Caller{Account: keys.AccountID, Principal: keys.UserID, Role: postern.Owner, Source: service.SourceServer}
	opened(t, c, func(n *server.Server) {
		if _, err := n.Service().Vaults().Create(t.Context(), by, resource.VaultCreate{Name: "v"}); err != nil {
			t.Fatal(err)
		}
		for i := range vaultSecrets {
			name := fmt.Sprintf("s%d", i)
			if _, err := n.Service().VaultSecrets().Create(t.Context(), by, resource.VaultSecretCreate{VaultName: "v", Name: name, Value: "value of " + name}); err != nil {
				t.Fatal(err)
			}
		}
	})
	return keys.AccountID
}

// checkSecrets opens a server and reads all that is sealed.
func checkSecrets(t *testing.T, c server.Config, account postern.AccountID) {
	t.Helper()
	opened(t, c, func(n *server.Server) {
		for i := range vaultSecrets {
			name := fmt.Sprintf("s%d", i)
			if value, err := n.Service().SecretValue(t.Context(), account, "v", name); err != nil || value.Reveal() != "value of "+name {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func rotateSealing(t *testing.T, c server.Config) server.SealingRotation {
	t.Helper()
	done, err := server.RotateSealing(t.Context(), c, testkit.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestRotateSealing(t *testing.T) {
	for name, config := range map[string]func(*testing.T) server.Config{"SQLite": testConfig, "PostgreSQL": postgresConfig} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			account := withSecrets(t, c)
			path := filepath.Join(c.DataDir, "sealing.keys")
			first := readKeys(t, path)
			done := rotateSealing(t, c)
			second := readKeys(t, path)
			if len(second) != 1 || second[0].ID() == first[0].ID() || done.Key != second[0].ID().String() || done.Continued ||
				done.Resealed != vaultSecrets || !slices.Equal(done.Retired, []string{first[0].ID().String()}) || len(done.Removable) != 0 {
				t.Errorf("%+v, keys %v", done, second)
			}
			checkSecrets(t, c, account)
			writeKeys(t, path, first...)
			if err := begins(t, c); !postern.HasCode(err, postern.CodeSealingKeyMissing) {
				t.Errorf("with the older key alone: %v", err)
			}
			writeKeys(t, path, second...)

			n := start(t, c, server.Options{}) // and while it runs
			again := rotateSealing(t, c)
			if again.Resealed != vaultSecrets || again.Key == done.Key {
				t.Errorf("%+v", again)
			}
			if value, err := n.Service().SecretValue(t.Context(), account, "v", "s1"); err != nil || value.Reveal() != "value of s1" {
				t.Errorf("the running server: %v", err)
			}
			n.Shutdown()
			checkSecrets(t, c, account)
		})
	}
}

// What a crash between the steps leaves: the server starts, everything opens, and the
// next call finishes instead of beginning another rotation.
func TestRotateSealingAfterACrash(t *testing.T) {
	for name, leave := range map[string]func(t *testing.T, c server.Config, path string) (newest seal.Key){
		"the new key is in the file": func(t *testing.T, _ server.Config, path string) seal.Key {
			newest := seal.NewKey()
			writeKeys(t, path, append([]seal.Key{newest}, readKeys(t, path)...)...)
			return newest
		},
		"the older key is still in the file": func(t *testing.T, c server.Config, path string) seal.Key {
			before := readKeys(t, path)
			rotateSealing(t, c)
			newest := readKeys(t, path)[0]
			writeKeys(t, path, append([]seal.Key{newest}, before...)...)
			return newest
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := testConfig(t)
			account := withSecrets(t, c)
			path := filepath.Join(c.DataDir, "sealing.keys")
			newest := leave(t, c, path)
			checkSecrets(t, c, account)

			// A backup of this moment has all that is needed.
			target := filepath.Join(t.TempDir(), "postern.tar.gz")
			if _, err := server.Backup(t.Context(), c, "1.2.3", target, nil); err != nil {
				t.Fatal(err)
			}
			restored := elsewhere(t, c)
			restore(t, restored, target)

			for _, config := range []server.Config{c, restored} {
				done := rotateSealing(t, config)
				if !done.Continued || done.Key != newest.ID().String() || len(done.Retired) != 1 {
					t.Errorf("%+v", done)
				}
				if keys := readKeys(t, filepath.Join(config.DataDir, "sealing.keys")); len(keys) != 1 || keys[0].ID() != newest.ID() {
					t.Errorf("keys %v", keys)
				}
				checkSecrets(t, config, account)
			}
		})
	}
}

// Keys of the configuration are the operator's: the command says what to do, and never
// writes them.
func TestRotateSealingOfTheConfiguration(t *testing.T) {
	c := testConfig(t)
	account := withSecrets(t, c)
	own := filepath.Join(c.DataDir, "sealing.keys")
	given := filepath.Join(t.TempDir(), "keys")
	first, second := seal.NewKey(), seal.NewKey()

	// From the directory's own key to one in a file.
	writeKeys(t, given, first)
	c.Sealing.KeyFile = given
	done := rotateSealing(t, c)
	if done.Key != first.ID().String() || done.Resealed != vaultSecrets || len(done.Removable) != 0 {
		t.Errorf("%+v", done)
	}
	if _, err := os.Stat(own); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory still has a key: %v", err)
	}
	checkSecrets(t, c, account)
	_, err := server.RotateSealing(t.Context(), c, testkit.Logger(t))
	if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), "put a new one before it") {
		t.Errorf("without a new key: %v", err)
	}

	// To one in the environment, while the file has the older.
	c.Sealing.Keys = []seal.Key{second}
	done = rotateSealing(t, c)
	if done.Key != second.ID().String() || !slices.Equal(done.Removable, []string{first.ID().String()}) {
		t.Errorf("%+v", done)
	}
	if keys := readKeys(t, given); len(keys) != 1 || keys[0].ID() != first.ID() {
		t.Errorf("the operator's file was written: %v", keys)
	}
	c.Sealing.KeyFile = ""
	checkSecrets(t, c, account)

	// A backup does not have it, and says so.
	target := filepath.Join(t.TempDir(), "postern.tar.gz")
	report, err := server.Backup(t.Context(), c, "1.2.3", target, nil)
	if err != nil || !slices.Equal(report.Elsewhere, []string{"sealing.key"}) {
		t.Fatalf("%v, %v", report.Elsewhere, err)
	}
	restored := elsewhere(t, c)
	restore(t, restored, target)
	checkSecrets(t, restored, account)
	restored.Sealing = server.Sealing{}
	if err := begins(t, restored); !postern.HasCode(err, postern.CodeSealingKeyMissing) {
		t.Errorf("restored without the key: %v", err)
	}
}
