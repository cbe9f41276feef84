package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

var (
	linux   = target{"linux", "amd64"}
	windows = target{"windows", "arm64"}
)

func commitTime() time.Time { return time.Unix(1795219200, 0).UTC() }

func packed(t *testing.T, dir string, system target) []byte {
	t.Helper()
	file := filepath.Join(dir, archiveName("1.2.3", system))
	if err := writeArchive(file, system, contents(system, []byte("binary"), []byte("licence")), commitTime()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestArchivesAreReproducible(t *testing.T) {
	for _, system := range targets() {
		if !bytes.Equal(packed(t, t.TempDir(), system), packed(t, t.TempDir(), system)) {
			t.Errorf("two archives for %s differ", system)
		}
	}
}

func TestTarContents(t *testing.T) {
	compressed, err := gzip.NewReader(bytes.NewReader(packed(t, t.TempDir(), linux)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	archive := tar.NewReader(compressed)
	for {
		h, err := archive.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %o %q %q", h.Name, h.Mode, h.Linkname, data))
		if !h.ModTime.Equal(commitTime()) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s tells of the machine it was packed on: %+v", h.Name, h)
		}
	}
	want := []string{
		`LICENSE 644 "" "licence"`,
		`ngrok 777 "postern" ""`,
		`outsystemscc 777 "postern" ""`,
		`postern 755 "" "binary"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("contents\n%q, want\n%q", got, want)
	}
}

func TestZipContents(t *testing.T) {
	data := packed(t, t.TempDir(), windows)
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, file := range archive.File {
		got = append(got, file.Name)
		if !file.Modified.Equal(commitTime()) {
			t.Errorf("%s is of %v", file.Name, file.Modified)
		}
	}
	if want := []string{"LICENSE", "ngrok.exe", "outsystemscc.exe", "postern.exe"}; !slices.Equal(got, want) {
		t.Errorf("contents %q, want %q", got, want)
	}
}

func TestChecksums(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.zip", "a.tar.gz"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := writeChecksums(dir, "sums.txt", []string{"b.zip", "a.tar.gz"}); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "sums.txt"))
	want := fmt.Sprintf("%x  a.tar.gz\n%x  b.zip\n", sha256.Sum256([]byte("a.tar.gz")), sha256.Sum256([]byte("b.zip")))
	if err != nil || string(got) != want {
		t.Errorf("checksums %q, %v; want %q", got, err, want)
	}
}

func TestNames(t *testing.T) {
	if got := archiveName("1.2.3", linux); got != "postern_1.2.3_linux_amd64.tar.gz" {
		t.Error(got)
	}
	if got := archiveName("1.2.3", windows); got != "postern_1.2.3_windows_arm64.zip" {
		t.Error(got)
	}
	if len(targets()) != 9 {
		t.Errorf("%d systems, want 9", len(targets()))
	}
	if picked, err := selectTargets("linux/386,darwin/arm64"); err != nil || len(picked) != 2 {
		t.Errorf("selectTargets = %v, %v", picked, err)
	}
	if _, err := selectTargets("plan9/386"); err == nil {
		t.Error("plan9 was accepted")
	}
}

func TestVersionsAreChecked(t *testing.T) {
	for _, version := range []string{"", "v1.2.3", "1.2", "1.2.3 ", "1.2.3/../x"} {
		if err := release(t.Context(), version, t.TempDir(), ""); err == nil {
			t.Errorf("version %q was accepted", version)
		}
	}
}

func TestEpoch(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795219200")
	if at, err := epoch(t.Context()); err != nil || !at.Equal(commitTime()) {
		t.Errorf("epoch = %v, %v", at, err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := epoch(t.Context()); err == nil {
		t.Error("a word was accepted as a time")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "")
	if _, err := epoch(t.Context()); err != nil {
		t.Errorf("without SOURCE_DATE_EPOCH, in a git checkout: %v", err)
	}
}
