package server_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/archive"
)

// saved is an installation that was bootstrapped and a backup of it.
func saved(t *testing.T) (c server.Config, keys server.Keys, file string) {
	t.Helper()
	c = testConfig(t)
	keys = bootstrap(t, c)
	file = filepath.Join(t.TempDir(), "postern.tar.gz")
	if _, err := server.Backup(t.Context(), c, "1.2.3", file, nil); err != nil {
		t.Fatal(err)
	}
	return c, keys, file
}

// elsewhere is the same configuration on a machine where nothing is.
func elsewhere(t *testing.T, c server.Config) server.Config {
	t.Helper()
	c.DataDir = filepath.Join(t.TempDir(), "a", "data")
	return c
}

func restore(t *testing.T, c server.Config, file string) {
	t.Helper()
	if _, err := server.Restore(t.Context(), c, file, nil); err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return names
}

func TestBackupIsWhatTheServerNeeds(t *testing.T) {
	c := testConfig(t)
	n := start(t, c, server.Options{})
	keys := bootstrap(t, c)
	for name, content := range map[string]string{"host_ed25519": "a key that nobody knew of yet", "access.log": "lines", "cache/x": "y", ".profile": "",
		".new-123": "half", "postern.db-journal": "", "schlüssel": "", "acme/account.json": "{}"} {
		path := filepath.Join(c.DataDir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	target := filepath.Join(t.TempDir(), "postern.tar.gz")
	if err := os.WriteFile(target, []byte("an older one, which everybody can read"), 0o644); err != nil {
		t.Fatal(err)
	}
	report, err := server.Backup(t.Context(), c, "1.2.3", target, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range report.Manifest.Files {
		names = append(names, file.Name)
	}
	slices.Sort(names)
	want := []string{"acme/account.json", "ca/bindings-ca.key", "ca/bindings-ca.pem", "ca/ca.key", "ca/ca.pem", "ca/custom-ca.key", "ca/custom-ca.pem", "gateway.key", "host_ed25519", "names.key", "postern.db", "sealing.keys", "signing.key",
		"ssh_host_ecdsa_key", "ssh_host_ecdsa_key.pub", "ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"}
	if !slices.Equal(names, want) {
		t.Errorf("it holds %v, want %v", names, want)
	}
	if want := []string{".profile", "access.log", "cache", "schlüssel"}; !slices.Equal(report.LeftOut, want) {
		t.Errorf("left out: %q, want %q", report.LeftOut, want)
	}
	info, err := os.Stat(target)
	if err != nil || info.Size() != report.Bytes || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("the archive: %v, %v", info, err)
	}
	if left := entries(t, filepath.Dir(target)); len(left) != 1 {
		t.Errorf("beside the archive there is %v", left)
	}
	n.Stop()

	// Another directory becomes the same server.
	other := elsewhere(t, c)
	restore(t, other, target)
	again := start(t, other, server.Options{})
	again.agent(link.Hello{Token: postern.Secret(keys.Authtoken)})
	second := bootstrap(t, other)
	if second.AccountID != keys.AccountID || second.CAPin != keys.CAPin || second.Authtoken != "" {
		t.Errorf("restored %+v, was %+v", second, keys)
	}
	if left := entries(t, filepath.Dir(other.DataDir)); len(left) != 1 {
		t.Errorf("beside data_dir there is %v", left)
	}
}

func TestBackupTargets(t *testing.T) {
	c, _, _ := saved(t)
	inside, dir := filepath.Join(c.DataDir, "ca", "postern.tar.gz"), t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink(c.DataDir, link); err != nil {
		t.Fatal(err)
	}
	nothing := c
	nothing.DataDir = filepath.Join(dir, "nothing")
	for name, test := range map[string]struct {
		config server.Config
		target string
		code   postern.Code
	}{
		"inside":            {c, inside, postern.CodeFlagInvalid},
		"inside, by a link": {c, filepath.Join(link, "x.tar.gz"), postern.CodeFlagInvalid},
		"a directory":       {c, dir, postern.CodeFlagInvalid},
		"nowhere":           {c, filepath.Join(dir, "no", "x.tar.gz"), postern.CodeFileUnreadable},
		"nothing to save":   {nothing, filepath.Join(dir, "x.tar.gz"), postern.CodeConfigInvalid},
	} {
		if _, err := server.Backup(t.Context(), test.config, "1.2.3", test.target, nil); !postern.HasCode(err, test.code) {
			t.Errorf("%s: got %v, want %s", name, err, test.code)
		}
	}
	if _, err := os.Stat(nothing.DataDir); err == nil {
		t.Error("a directory was made")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := server.Backup(ended, c, "1.2.3", filepath.Join(dir, "x.tar.gz"), nil); err == nil {
		t.Error("it went on after the context's end")
	}
	if left := entries(t, dir); len(left) != 1 {
		t.Errorf("failed backups left %v", left)
	}
	if err := os.Symlink(dir, filepath.Join(c.DataDir, "keys")); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Backup(t.Context(), c, "1.2.3", filepath.Join(dir, "x.tar.gz"), nil); !postern.HasCode(err, postern.CodeConfigInvalid) {
		t.Errorf("a link to a directory: %v", err)
	}
}

func TestBackupThroughPipe(t *testing.T) {
	c, _, _ := saved(t)
	var pipe bytes.Buffer
	report, err := server.Backup(t.Context(), c, "1.2.3", "-", &pipe)
	if err != nil || report.Bytes != int64(pipe.Len()) || report.Archive != "-" {
		t.Fatalf("%+v, %d bytes, %v", report, pipe.Len(), err)
	}
	other := elsewhere(t, c)
	if _, err := server.Restore(t.Context(), other, "-", &pipe); err != nil {
		t.Error(err)
	}
}

func TestRestoreNeedsAnEmptyDirectory(t *testing.T) {
	c, _, file := saved(t)
	was := entries(t, c.DataDir)
	_, err := server.Restore(t.Context(), c, file, nil)
	if !postern.HasCode(err, postern.CodeDataDirNotEmpty) || !strings.Contains(err.Error(), c.DataDir) {
		t.Errorf("over an installation: %v", err)
	}
	n := start(t, c, server.Options{})
	if _, err := server.Restore(t.Context(), c, file, nil); !postern.HasCode(err, postern.CodeDataDirLocked) {
		t.Errorf("over a running server: %v", err)
	}
	n.Stop()
	if now := entries(t, c.DataDir); !slices.Equal(slices.DeleteFunc(now, func(name string) bool { return !slices.Contains(was, name) }), was) {
		t.Errorf("there was %v, now there is %v", was, now)
	}

	empty := elsewhere(t, c)
	if err := os.MkdirAll(empty.DataDir, 0o755); err != nil {
		t.Fatal(err)
	}
	restore(t, empty, file)
	if info, err := os.Stat(empty.DataDir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}

	plain := elsewhere(t, c)
	if err := os.MkdirAll(filepath.Dir(plain.DataDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain.DataDir, []byte("a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Restore(t.Context(), plain, file, nil); !postern.HasCode(err, postern.CodeConfigInvalid) {
		t.Errorf("over a file: %v", err)
	}
	if _, err := server.Restore(t.Context(), elsewhere(t, c), filepath.Join(t.TempDir(), "none"), nil); !postern.HasCode(err, postern.CodeFileUnreadable) {
		t.Errorf("from nothing: %v", err)
	}
}

// altered is the archive with a database that was changed, and a manifest that fits.
func altered(t *testing.T, file string, engine string, schema int64, statements ...string) string {
	t.Helper()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "altered.tar.gz")
	from, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	m, err := archive.Extract(t.Context(), from, dir, archive.Limits{}, func(archive.Manifest) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	database, err := sql.Open("sqlite", filepath.Join(dir, "postern.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	for _, statement := range statements {
		if _, err := database.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	var sources []archive.Source
	for _, file := range m.Files {
		sources = append(sources, archive.Source{Name: file.Name, Path: filepath.Join(dir, filepath.FromSlash(file.Name))})
	}
	m.Database = archive.Database{Engine: engine, Schema: schema}
	var text bytes.Buffer
	if _, err := archive.Write(t.Context(), &text, m, sources, archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return out
}

// Nothing is in place before everything was checked, whatever is wrong.
func TestRestoreRefuses(t *testing.T) {
	c, _, file := saved(t)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.tar.gz")
	if err := os.WriteFile(cut, text[:len(text)-100], 0o600); err != nil {
		t.Fatal(err)
	}
	schema := manifestOf(t, file).Database.Schema
	newer := "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"
	for name, test := range map[string]struct {
		file, says string
		code       postern.Code
	}{
		"cut":                      {cut, cut, postern.CodeBackupInvalid},
		"newer, it says":           {altered(t, file, "sqlite", 99999), "99999", postern.CodeBackupNewer},
		"newer, it does not say":   {altered(t, file, "sqlite", schema, newer), "99999", postern.CodeBackupNewer},
		"older than it says":       {altered(t, file, "sqlite", schema, "DELETE FROM goose_db_version"), "its manifest says", postern.CodeBackupInvalid},
		"an unknown engine":        {altered(t, file, "oracle", schema), "oracle", postern.CodeBackupInvalid},
		"another engine":           {altered(t, file, "postgresql", schema), "the key database", postern.CodeConfigInvalid},
		"somebody else's database": {altered(t, file, "sqlite", schema, "DROP TABLE goose_db_version"), "postern.db", postern.CodeBackupInvalid},
		"a directory":              {t.TempDir(), "cannot be read", postern.CodeFileUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			other := elsewhere(t, c)
			_, err := server.Restore(t.Context(), other, test.file, nil)
			if !postern.HasCode(err, test.code) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want %s naming %s", err, test.code, test.says)
			}
			if left := entries(t, filepath.Dir(other.DataDir)); len(left) != 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

func manifestOf(t *testing.T, file string) archive.Manifest {
	t.Helper()
	text, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	m, err := archive.Read(t.Context(), text, archive.Limits{}, func(archive.Manifest) error { return nil }, func(_ archive.File, body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// With PostgreSQL the archive has the keys, and the report the commands for the rows,
// which the real pg_dump and pg_restore carry over to another database.
func TestBackupOnPostgreSQL(t *testing.T) {
	c := postgresConfig(t)
	n := start(t, c, server.Options{})
	keys := bootstrap(t, c)
	target := filepath.Join(t.TempDir(), "postern.tar.gz")
	report, err := server.Backup(t.Context(), c, "1.2.3", target, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range report.Manifest.Files {
		if file.Name == "postern.db" {
			t.Error("it holds a SQLite database")
		}
	}
	password := secretOf(t, c)
	if report.Manifest.Database.Engine != "postgresql" || !strings.HasPrefix(report.Dump, "pg_dump ") || strings.Contains(report.Dump, ":"+password+"@") {
		t.Errorf("engine %q, %s", report.Manifest.Database.Engine, report.Dump)
	}
	runWithPassword(t, report.Dump, password)
	n.Stop()

	other := elsewhere(t, c)
	other.Database = postgresConfig(t).Database
	restored, err := server.Restore(t.Context(), other, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	runWithPassword(t, restored.Load, secretOf(t, other))
	again := start(t, other, server.Options{})
	again.agent(link.Hello{Token: postern.Secret(keys.Authtoken)})
	if second := bootstrap(t, other); second.AccountID != keys.AccountID || second.CAPin != keys.CAPin {
		t.Errorf("restored %+v, was %+v", second, keys)
	}
	sqlite := elsewhere(t, c)
	sqlite.Database = ""
	if _, err := server.Restore(t.Context(), sqlite, target, nil); !postern.HasCode(err, postern.CodeConfigInvalid) {
		t.Errorf("with a configuration for SQLite: %v", err)
	}
}

func secretOf(t *testing.T, c server.Config) string {
	t.Helper()
	location, err := url.Parse(c.Database.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := location.User.Password()
	return password
}

// runWithPassword runs a command of a report as an operator does.
func runWithPassword(t *testing.T, line, password string) {
	t.Helper()
	command := exec.Command("sh", "-c", line)
	command.Env = append(os.Environ(), "PGPASSWORD="+password)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", line, err, output)
	}
}
