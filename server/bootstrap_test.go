package server_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server"
)

func bootstrap(t *testing.T, c server.Config) server.Keys {
	t.Helper()
	keys, err := server.Bootstrap(t.Context(), c, testkit.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestBootstrap(t *testing.T) {
	for _, running := range []bool{false, true} {
		t.Run(map[bool]string{false: "stopped", true: "running"}[running], func(t *testing.T) {
			c := testConfig(t)
			if running {
				start(t, c, server.Options{})
			}
			keys := bootstrap(t, c)
			if keys.AccountID == "" || keys.UserID == "" || keys.APIKey == "" || keys.Authtoken == "" {
				t.Errorf("keys %+v", keys)
			}
			if _, err := os.Stat(keys.CAFile); err != nil {
				t.Errorf("CA file: %v", err)
			}
			again := bootstrap(t, c)
			if again.AccountID != keys.AccountID || again.UserID != keys.UserID || again.CAFile != keys.CAFile {
				t.Errorf("the second time %+v", again)
			}
			if again.APIKey != "" || again.Authtoken != "" {
				t.Error("the second time shows keys")
			}
			if running {
				return
			}
			// The token that was made while it was stopped works.
			n := start(t, c, server.Options{})
			n.agent(link.Hello{Token: postern.Secret(keys.Authtoken)})
		})
	}
}

// A socket's path is 108 bytes at most; a data directory's is not.
func TestBootstrapInDeepDirectory(t *testing.T) {
	c := testConfig(t)
	c.DataDir = filepath.Join(t.TempDir(), strings.Repeat("deep", 20), strings.Repeat("deeper", 10))
	start(t, c, server.Options{})
	if keys := bootstrap(t, c); keys.Authtoken == "" {
		t.Error("no token")
	}
	info, err := os.Stat(filepath.Join(c.DataDir, "control.sock"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v", info, err)
	}
}

// A directory that is locked by something that never answers is an error that says
// so, not a wait for ever.
func TestBootstrapOfMuteServer(t *testing.T) {
	c := testConfig(t)
	mute, err := server.New(c, server.Options{Logger: testkit.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(c.DataDir, "control.sock")); err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := server.Bootstrap(ctx, c, testkit.Logger(t)); !postern.HasCode(err, postern.CodeDataDirLocked) {
		t.Errorf("got %v", err)
	}
}
