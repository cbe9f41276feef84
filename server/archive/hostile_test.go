package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/archive"
)

// listed is a tar of these files and a manifest that lists them.
func listed(t testing.TB, files ...entry) []byte {
	return tarOf(t, append([]entry{manifest(nil, files...)}, files...)...)
}

func special(kind byte, name, target string) entry {
	return entry{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o600}, ""}
}

func TestHostileArchives(t *testing.T) {
	a := file("a", "content")
	changed := func(change func(*archive.Manifest)) []byte { return zipped(t, tarOf(t, manifest(change, a), a)) }
	good := zipped(t, listed(t, a))
	tests := map[string]struct {
		text []byte
		want string
	}{
		"nothing":            {nil, "not gzip"},
		"no gzip":            {[]byte("a backup, honestly"), "not gzip"},
		"no tar":             {zipped(t, []byte(strings.Repeat("x", 2000))), "no tar"},
		"empty tar":          {zipped(t, tarOf(t)), "no tar"},
		"no manifest":        {zipped(t, tarOf(t, a)), `"a" where "manifest.json"`},
		"manifest is a link": {zipped(t, tarOf(t, special(tar.TypeSymlink, "manifest.json", "/etc/passwd"))), "a link"},
		"huge manifest":      {zipped(t, tarOf(t, file("manifest.json", strings.Repeat(" ", 5<<20)))), "at most"},
		"manifest no JSON":   {zipped(t, tarOf(t, file("manifest.json", "{"))), "cannot be read"},
		"unknown key":        {zipped(t, tarOf(t, file("manifest.json", `{"format":1,"run":"rm -rf /"}`))), `unknown field "run"`},
		"format 0":           {changed(func(m *archive.Manifest) { m.Format = 0 }), "format 0"},
		"negative schema":    {changed(func(m *archive.Manifest) { m.Database.Schema = -1 }), "negative"},
		"long text":          {changed(func(m *archive.Manifest) { m.MadeBy = strings.Repeat("x", 300) }), "longer than"},
		"negative size":      {changed(func(m *archive.Manifest) { m.Files[0].Size = -1 }), "cannot be"},
		"huge size":          {changed(func(m *archive.Manifest) { m.Files[0].Size = 1 << 62 }), "more than"},
		"sizes overflow": {changed(func(m *archive.Manifest) {
			m.Files = []archive.File{{Name: "a", Size: 1 << 35}, {Name: "b", Size: 1<<63 - 1}}
			m.Files[0].SHA256, m.Files[1].SHA256 = strings.Repeat("0", 64), strings.Repeat("0", 64)
		}), "more than"},
		"other size":      {changed(func(m *archive.Manifest) { m.Files[0].Size++ }), "its manifest says 8"},
		"no checksum":     {changed(func(m *archive.Manifest) { m.Files[0].SHA256 = "" }), "no SHA-256"},
		"wrong checksum":  {changed(func(m *archive.Manifest) { m.Files[0].SHA256 = strings.Repeat("0", 64) }), "has the checksum"},
		"missing file":    {zipped(t, tarOf(t, manifest(nil, a))), "missing"},
		"further file":    {zipped(t, tarOf(t, manifest(nil), a)), "not in its manifest"},
		"other order":     {zipped(t, tarOf(t, manifest(nil, a, file("b", "")), file("b", ""), a)), `"b" where "a"`},
		"twice":           {zipped(t, listed(t, a, a)), "twice"},
		"twice on a Mac":  {zipped(t, listed(t, a, file("A", ""))), "twice"},
		"below a file":    {zipped(t, listed(t, a, file("a/b", ""))), "below a file"},
		"above a file":    {zipped(t, listed(t, file("a/b", ""), a)), "twice"},
		"symbolic link":   {zipped(t, tarOf(t, manifest(nil, file("a", "")), special(tar.TypeSymlink, "a", "/etc/passwd"))), "a link"},
		"hard link":       {zipped(t, tarOf(t, manifest(nil, file("a", "")), special(tar.TypeLink, "a", "/etc/passwd"))), "a link"},
		"directory":       {zipped(t, tarOf(t, manifest(nil, file("a", "")), special(tar.TypeDir, "a", ""))), "a link"},
		"device":          {zipped(t, tarOf(t, manifest(nil, file("a", "")), special(tar.TypeBlock, "a", ""))), "a link"},
		"pipe":            {zipped(t, tarOf(t, manifest(nil, file("a", "")), special(tar.TypeFifo, "a", ""))), "a link"},
		"cut":             {good[:len(good)-20], "cannot be read"},
		"gzip checksum":   {append(slices.Clone(good[:len(good)-8]), 0, 0, 0, 0, 0, 0, 0, 0), "checksum"},
		"behind the tar":  {zipped(t, append(listed(t, a), []byte(strings.Repeat("x", 600))...)), "follows the last file"},
		"endless zeros":   {zipped(t, append(listed(t, a), make([]byte, 1<<20)...)), "longer than"},
		"behind the gzip": {append(slices.Clone(good), good...), "follows the compressed"},
		"attributes": {zipped(t, tarOf(t, manifest(nil, a), entry{tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 7, Mode: 0o600,
			PAXRecords: map[string]string{"SCHILY.xattr.security.capability": "x"}}, "content"})), "attribute"},
	}
	for _, name := range []string{"/etc/passwd", "../a", "a/../../b", "a//b", "./a", "a/", ".", "..", "", `a\..\..\b`, "C:/a", "c:a", "a\x00b", "a\nb", "a.", "a /b", "ä",
		"MANIFEST.json", strings.Repeat("a", 300), strings.Repeat("a/", 20) + "b", "con?"} {
		tests["name "+name] = struct {
			text []byte
			want string
		}{zipped(t, tarOf(t, manifest(func(m *archive.Manifest) { m.Files[0].Name = name }, a))), "name"}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			inside := filepath.Join(dir, "inside")
			if err := os.Mkdir(inside, 0o700); err != nil {
				t.Fatal(err)
			}
			_, err := archive.Extract(t.Context(), bytes.NewReader(test.text), inside, archive.Limits{}, anything)
			if !postern.HasCode(err, postern.CodeBackupInvalid) || !strings.Contains(err.Error(), test.want) && test.want != "name" {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
				t.Errorf("outside there is %v (%v)", entries, err)
			}
		})
	}
}

// A newer format is recognised whatever else it has.
func TestNewerFormat(t *testing.T) {
	text := zipped(t, tarOf(t, file("manifest.json", `{"format": 2, "made_by": "9.9.9", "chunks": []}`)))
	_, err := archive.Extract(t.Context(), bytes.NewReader(text), t.TempDir(), archive.Limits{}, anything)
	if !postern.HasCode(err, postern.CodeBackupNewer) || !strings.Contains(err.Error(), "9.9.9") {
		t.Errorf("got %v", err)
	}
}

// Limits hold for what follows, not only for what the manifest says; what the caller
// refuses is not read; a broken disk is no broken backup.
func TestReadStops(t *testing.T) {
	good := packed(t, "a", "12345", "b", "12345")
	if _, err := archive.Extract(t.Context(), bytes.NewReader(good), t.TempDir(), archive.Limits{Bytes: 9}, anything); !postern.HasCode(err, postern.CodeBackupInvalid) {
		t.Errorf("more bytes than the limit: %v", err)
	}
	if _, err := archive.Extract(t.Context(), bytes.NewReader(good), t.TempDir(), archive.Limits{Files: 1}, anything); !postern.HasCode(err, postern.CodeBackupInvalid) {
		t.Errorf("more files than the limit: %v", err)
	}
	refused, dir := errors.New("not this one"), t.TempDir()
	if _, err := archive.Extract(t.Context(), bytes.NewReader(good), dir, archive.Limits{}, func(archive.Manifest) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("refused: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("a refused backup left %v (%v)", entries, err)
	}
	broken := errors.New("the disk is broken")
	_, err := archive.Extract(t.Context(), io.MultiReader(bytes.NewReader(good[:40]), iotest.ErrReader(broken)), t.TempDir(), archive.Limits{}, anything)
	if !errors.Is(err, broken) || postern.HasCode(err, postern.CodeBackupInvalid) {
		t.Errorf("broken disk: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Extract(ended, bytes.NewReader(good), t.TempDir(), archive.Limits{}, anything); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context's end: %v", err)
	}
}

// A few kilobytes of gzip do not keep the reader busy for ever.
func TestBomb(t *testing.T) {
	records := "30 comment=" + strings.Repeat("x", 18) + "\n"
	header := make([]byte, 512)
	copy(header, "x")
	copy(header[100:], "0000600\x000000000\x000000000\x0000000000036\x0000000000000\x00        x")
	copy(header[257:], "ustar\x0000")
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[148:], []byte{byte('0' + sum>>15&7), byte('0' + sum>>12&7), byte('0' + sum>>9&7), byte('0' + sum>>6&7), byte('0' + sum>>3&7), byte('0' + sum&7), 0, ' '})
	block := slices.Concat(header, []byte(records), make([]byte, 512-len(records)))
	reader, writer := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		w := gzip.NewWriter(writer)
		var err error
		for err == nil {
			_, err = w.Write(block)
		}
		ended <- err
	}()
	_, err := archive.Extract(t.Context(), reader, t.TempDir(), archive.Limits{}, anything)
	if !postern.HasCode(err, postern.CodeBackupInvalid) || !strings.Contains(err.Error(), "longer than") {
		t.Errorf("got %v", err)
	}
	_ = reader.Close()
	<-ended
}

// stored is gzip without its work.
func stored(t testing.TB, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Whatever the bytes are: the reader ends, accepts only what its manifest describes, and
// what it accepts can be extracted and stays within the directory.
func FuzzRead(f *testing.F) {
	a := file("ca/a", "content")
	f.Add(listed(f, a, file("b", "")))
	f.Add(tarOf(f, manifest(nil, a)))
	f.Add(tarOf(f, manifest(nil, file("a", "")), special(tar.TypeSymlink, "a", "/etc/passwd")))
	f.Add(tarOf(f, manifest(func(m *archive.Manifest) { m.Files[0].Name = "../a" }, a), file("../a", "content")))
	limits := archive.Limits{Files: 50, Bytes: 1 << 20}
	f.Fuzz(func(t *testing.T, text []byte) {
		whole := stored(t, text)
		found := make(map[string]string)
		m, err := archive.Read(t.Context(), bytes.NewReader(whole), limits, anything, func(file archive.File, body io.Reader) error {
			content, err := io.ReadAll(body)
			found[file.Name] = string(content)
			return err
		})
		if err != nil {
			if !postern.HasCode(err, postern.CodeBackupInvalid) && !postern.HasCode(err, postern.CodeBackupNewer) {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		if len(found) != len(m.Files) {
			t.Fatalf("%d files of %d", len(found), len(m.Files))
		}
		for _, file := range m.Files {
			content := found[file.Name]
			if sum := sha256.Sum256([]byte(content)); !strings.EqualFold(hex.EncodeToString(sum[:]), file.SHA256) || int64(len(content)) != file.Size {
				t.Fatalf("%q is not what the manifest says", file.Name)
			}
		}
		dir := t.TempDir()
		inside := filepath.Join(dir, "inside")
		if err := os.Mkdir(inside, 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Extract(t.Context(), bytes.NewReader(whole), inside, limits, anything); err != nil {
			t.Fatalf("read, but not extracted: %v", err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Fatalf("outside there is %v (%v)", entries, err)
		}
		for name, content := range found {
			if there, err := os.ReadFile(filepath.Join(inside, filepath.FromSlash(name))); err != nil || string(there) != content {
				t.Fatalf("%q: %v", name, err)
			}
		}
	})
}
