package config_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

func TestWatch(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "a.yml"), filepath.Join(dir, "b.yml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yml", "one")
	write("first", "x")
	write("second", "y")
	if err := os.Symlink("first", link); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	changed, err := config.Watch(ctx, file, link)
	if err != nil {
		t.Fatal(err)
	}
	await := func(what string) {
		t.Helper()
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatalf("%s was not noticed", what)
		}
	}
	write("a.yml", "two")
	await("a write")
	if err := config.WriteFile(file, []byte("three")); err != nil {
		t.Fatal(err)
	}
	await("a replacement")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("second", link); err != nil {
		t.Fatal(err)
	}
	await("another target of a link")
	write("unrelated", "z")
	write("a.yml", "three") // the same again
	cancel()
	if _, open := <-changed; open {
		t.Error("what did not change was told")
	}
	if _, err := config.Watch(t.Context(), filepath.Join(dir, "nosuch", "a.yml")); !postern.HasCode(err, postern.CodeFileUnreadable) {
		t.Errorf("%v", err)
	}
}
