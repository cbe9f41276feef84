package e2e_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/resource"
	installation "github.com/postern-dev/postern/server"
	uses "github.com/postern-dev/postern/server/service"
)

// A rotation of the sealing key that is killed again and again, at any moment, loses
// nothing: after each time a server starts and opens every secret, and in the end nothing
// is sealed with the first key.
func TestSealingKeyRotationIsKilled(t *testing.T) {
	const secrets, kills = 350, 12
	dir := t.TempDir()
	file := filepath.Join(dir, "postern.yml")
	text := "domain: example.com\ndata_dir: " + filepath.Join(dir, "data") + "\nlisten: {https: '127.0.0.1:0', http: '', admin: '', tcp_ports: ''}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := installation.Load(file, func(string) string { return "" }, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := installation.Bootstrap(t.Context(), config, testkit.Logger(t))
	if err != nil {
		t.Fatal(err)
	}
	with := func(fn func(*uses.Service)) {
		t.Helper()
		node, err := installation.New(config, installation.Options{})
		if err != nil {
			t.Fatal(err)
		}
		fn(node.Service())
		if err := node.Close(); err != nil {
			t.Error(err)
		}
	}
	with(func(s *uses.Service) {
		by := uses.Caller{Account: keys.AccountID, Principal: keys.UserID, Role: postern.Owner, Source: uses.SourceServer}
		if _, err := s.Vaults().Create(t.Context(), by, resource.VaultCreate{Name: "v"}); err != nil {
			t.Fatal(err)
		}
		for i := range secrets {
			name := fmt.Sprintf("s%d", i)
			if _, err := s.VaultSecrets().Create(t.Context(), by, resource.VaultSecretCreate{VaultName: "v", Name: name, Value: "value of " + name}); err != nil {
				t.Fatal(err)
			}
		}
	})
	readable := func(s *uses.Service) {
		t.Helper()
		for i := range secrets {
			name := fmt.Sprintf("s%d", i)
			if value, err := s.SecretValue(t.Context(), keys.AccountID, "v", name); err != nil || value.Reveal() != "value of "+name {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
	sealing := filepath.Join(dir, "data", "sealing.keys")
	keysLeft := func() int {
		t.Helper()
		text, err := os.ReadFile(sealing)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "=\n")
	}
	whole, half := 0, 0
	rotate := []string{"server", "keys", "rotate-sealing", "--config", file}
	for i := range kills {
		command := startProcess(t, "rotation", nil, append([]string{posternBinary}, rotate...)...)
		if keysLeft() == 1 { // however long this machine takes to start it, it is killed once it has begun
			eventually(t, 30*time.Second, func() error {
				if keysLeft() == 1 && !command.exited() {
					return errors.New("the rotation has not begun")
				}
				return nil
			})
		}
		select {
		case <-command.Done():
		case <-time.After(time.Duration(i) * rand.N(20*time.Millisecond)): //nolint:gosec // a moment, not a secret
		}
		if command.exited() {
			whole++
		}
		command.Kill()
		command.wait(10 * time.Second)
		if keysLeft() == 2 {
			half++
		}
		with(readable)
	}
	t.Logf("of %d rotations %d came to their end, and %d were left half done", kills, whole, half)
	if half == 0 {
		t.Error("no rotation was left half done: this test shows nothing")
	}
	last := startProcess(t, "last rotation", nil, append([]string{posternBinary}, rotate...)...)
	if status := last.wait(30 * time.Second); status != 0 || !strings.Contains(last.output(), "Key:") {
		t.Fatalf("status %d: %s", status, last.output())
	}
	with(readable)
	if n := keysLeft(); n != 1 {
		t.Errorf("%d keys are left", n)
	}
}
