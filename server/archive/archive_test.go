package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/server/archive"
)

var written = time.Date(2031, 5, 17, 9, 30, 0, 0, time.UTC)

// sources writes files to a directory of their own.
func sources(t testing.TB, contents ...string) []archive.Source {
	t.Helper()
	dir := t.TempDir()
	var files []archive.Source
	for i := 0; i < len(contents); i += 2 {
		path := filepath.Join(dir, strings.ReplaceAll(contents[i], "/", "_"))
		if err := os.WriteFile(path, []byte(contents[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, archive.Source{Name: contents[i], Path: path})
	}
	return files
}

func packed(t testing.TB, contents ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	m := archive.Manifest{MadeBy: "1.2.3", MadeAt: written, Database: archive.Database{Engine: "sqlite", Schema: 7}}
	if _, err := archive.Write(context.Background(), &out, m, sources(t, contents...), archive.Limits{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func anything(archive.Manifest) error { return nil }

func TestWhatIsWrittenIsExtracted(t *testing.T) {
	long := strings.Repeat("d/", 6) + strings.Repeat("n", 150) // longer than plain tar's names
	contents := map[string]string{"postern.db": strings.Repeat("row", 100_000), "ca/ca.key": "key", "empty": "", long: "x"}
	text := packed(t, "postern.db", contents["postern.db"], "ca/ca.key", "key", "empty", "", long, "x")
	dir := t.TempDir()
	var accepted archive.Manifest
	m, err := archive.Extract(t.Context(), bytes.NewReader(text), dir, archive.Limits{}, func(m archive.Manifest) error { accepted = m; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if m.Format != archive.Format || m.MadeBy != "1.2.3" || !m.MadeAt.Equal(written) || m.Database.Schema != 7 || len(m.Files) != 4 || len(accepted.Files) != 4 {
		t.Errorf("manifest %+v, accepted %+v", m, accepted)
	}
	found := 0
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		if entry.IsDir() {
			return nil
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		if string(content) != contents[filepath.ToSlash(name)] {
			t.Errorf("%s holds %d bytes", name, len(content))
		}
		found++
		return err
	})
	if err != nil || found != 4 {
		t.Errorf("%d files, %v", found, err)
	}
}

// What cannot be restored is never written.
func TestWriteRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		files  []archive.Source
		limits archive.Limits
		want   string
	}{
		"escape":         {sources(t, "a", ""), archive.Limits{}, "no name of a file"},
		"too many bytes": {sources(t, "a", "12345", "b", "12345"), archive.Limits{Bytes: 9}, "more than 9 bytes"},
		"too many files": {sources(t, "a", "", "b", ""), archive.Limits{Files: 1}, "at most 1"},
		"twice":          {sources(t, "a", "", "A", ""), archive.Limits{}, "twice"},
	} {
		if name == "escape" {
			test.files[0].Name = "../a"
		}
		_, err := archive.Write(t.Context(), io.Discard, archive.Manifest{}, test.files, test.limits)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Write(ended, io.Discard, archive.Manifest{}, sources(t, "a", "x"), archive.Limits{}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context's end: %v", err)
	}
}

// changing is a writer that changes a file once something of the archive was written.
type changing struct{ change func() }

func (c *changing) Write(p []byte) (int, error) {
	if c.change != nil {
		c.change()
		c.change = nil
	}
	return len(p), nil
}

// The manifest stands before the files, so each is read twice; what was changed between
// is not written as if it were right. gzip's header is the first write.
func TestFileThatChangesMeanwhile(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"other content": func(path string) error { return os.WriteFile(path, []byte("bbbb"), 0o600) },
		"longer":        func(path string) error { return os.WriteFile(path, []byte("aaaabbbb"), 0o600) },
		"shorter":       func(path string) error { return os.WriteFile(path, []byte("a"), 0o600) },
		"gone":          os.Remove,
	} {
		files := sources(t, "a", "aaaa")
		w := &changing{func() {
			if err := change(files[0].Path); err != nil {
				t.Error(err)
			}
		}}
		if _, err := archive.Write(t.Context(), w, archive.Manifest{}, files, archive.Limits{}); !errors.Is(err, archive.ErrChanged) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// entry is one of a tar that somebody else has made.
type entry struct {
	header tar.Header
	body   string
}

func file(name, body string) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(body))}, body}
}

// manifest lists files as they are, or as the caller has changed them.
func manifest(change func(*archive.Manifest), files ...entry) entry {
	m := archive.Manifest{Format: archive.Format, MadeBy: "1.2.3", MadeAt: written, Database: archive.Database{Engine: "sqlite", Schema: 1}}
	for _, f := range files {
		sum := sha256.Sum256([]byte(f.body))
		m.Files = append(m.Files, archive.File{Name: f.header.Name, Size: int64(len(f.body)), SHA256: hex.EncodeToString(sum[:])})
	}
	if change != nil {
		change(&m)
	}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return file("manifest.json", string(text))
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.body); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zipped(t testing.TB, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
