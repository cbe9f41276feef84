package sqlstore_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

func TestOpenTwiceMigratesOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	for range 2 {
		s := open(t, path)
		if err := s.Write(t.Context(), func(tx store.Tx) error { return tx.Settings().Put(t.Context(), "k", "v") }); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	var versions int
	if err := open(t, path).WriteDB().QueryRow("SELECT count(*) FROM goose_db_version WHERE version_id > 0").Scan(&versions); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil || versions != len(files) {
		t.Errorf("%d versions applied, want one per file: %d (%v)", versions, len(files), err)
	}
}

func TestNewerDatabaseIsRefusedAndLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	s := open(t, path)
	if _, err := s.WriteDB().Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlstore.Open(t.Context(), engine(path)); !postern.HasCode(err, postern.CodeStoreNewer) {
		t.Fatalf("got %v, want CodeStoreNewer", err)
	}
	after, err := os.ReadFile(path)
	if err != nil || string(before) != string(after) {
		t.Errorf("the newer database was changed (%v)", err)
	}
}

func TestPathsAndModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "100% odd?name#1 &x=y ü")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "postern.db")
	s := open(t, path)
	if err := s.Write(t.Context(), func(tx store.Tx) error { return tx.Settings().Put(t.Context(), "k", "v") }); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, want 600", entry.Name(), info.Mode().Perm())
		}
	}
	if len(entries) != 3 {
		t.Errorf("%d files, want the database, its log and its shared memory", len(entries))
	}
	t.Chdir(dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	relative := open(t, "postern.db")
	err = relative.Read(t.Context(), func(tx store.Tx) error {
		_, err := tx.Settings().Get(t.Context(), "k")
		return err
	})
	if err != nil {
		t.Errorf("by a relative path: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	if err := os.WriteFile(garbage, []byte("this is no database, whatever its name says; "+string(make([]byte, 4096))), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing", "postern.db")
	for name, test := range map[string]struct {
		engine sqlstore.Engine
		code   postern.Code
	}{
		"no directory":   {engine(missing), postern.CodeStoreUnavailable},
		"not a database": {engine(garbage), postern.CodeStoreUnavailable},
		"no driver":      {sqlstore.Engine{Dialect: sqlstore.SQLite, Driver: "nobody", Source: "x.db"}, postern.CodeStoreUnavailable},
		"no dialect":     {sqlstore.Engine{Driver: "sqlite", Source: "x.db"}, postern.CodeConfigInvalid},
		"no source":      {sqlstore.Engine{Dialect: sqlstore.SQLite, Driver: "sqlite"}, postern.CodeConfigInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			s, err := sqlstore.Open(context.Background(), test.engine)
			if !postern.HasCode(err, test.code) {
				t.Errorf("got %v, want %s", err, test.code)
			}
			if s != nil {
				_ = s.Close()
			}
		})
	}
}

// SQLite reads "$1::text" as one parameter's name and has no arrays.
func TestQueriesUseNothingThatOneEngineMisreads(t *testing.T) {
	banned := regexp.MustCompile(`(?i)::\s*[a-z]|=\s*ANY\s*\(|sqlc\.slice|\bILIKE\b|\bFOR UPDATE\b|\bnow\(\)|\bSERIAL\b|\bJSONB\b|\bTIMESTAMP`)
	checked := 0
	for _, pattern := range []string{"queries/*.sql", "migrations/*.sql", "internal/query/*.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			checked++
			if found := banned.Find(text); found != nil {
				t.Errorf("%s uses %q, which only PostgreSQL understands; use CAST(), a fixed list or JSON text", file, found)
			}
		}
	}
	if checked < 8 {
		t.Errorf("only %d files checked: were they moved?", checked)
	}
}

// Ids are paged by comparing them, so every column that holds one compares bytes.
func TestIdColumnsCompareAsBytes(t *testing.T) {
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	column := regexp.MustCompile(`(?m)^\s+(id|host|tree_key|key|\w+_id)\s+TEXT( COLLATE "C")?`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range column.FindAllStringSubmatch(string(text), -1) {
			if match[2] == "" {
				t.Errorf(`%s: column %s needs COLLATE "C"`, file, match[1])
			}
		}
	}
}

// At info a first start is one line, with the versions; every statement is at debug.
func TestMigrationLog(t *testing.T) {
	path, other := filepath.Join(t.TempDir(), "postern.db"), filepath.Join(t.TempDir(), "postern.db")
	for _, test := range []struct {
		name  string
		path  string
		level slog.Level
		want  string
	}{
		{"first start", path, slog.LevelInfo, `(?s)^level=INFO msg="database migrated" from=0 to=[1-9]\d*\n$`},
		{"second start", path, slog.LevelInfo, `^$`},
		{"at debug", other, slog.LevelDebug, `level=DEBUG`},
	} {
		var log strings.Builder
		e := engine(test.path)
		e.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{
			Level: test.level,
			ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
				if a.Key == slog.TimeKey {
					return slog.Attr{}
				}
				return a
			},
		}))
		s, err := sqlstore.Open(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(test.want).MatchString(log.String()) {
			t.Errorf("%s: got %q, want %s", test.name, log.String(), test.want)
		}
	}
}
