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
	"strings"
	"time"
)

// entry is one file of an archive, or a symbolic link.
type entry struct {
	name string
	mode int64
	data []byte
	link string // what a symbolic link points to; data is empty then
}

// linkNames are the programs that postern stands in for.
func linkNames() []string { return []string{"ngrok", "outsystemscc"} }

// archiveName is "postern_<version>_<os>_<arch>.tar.gz", or .zip for Windows.
func archiveName(version string, t target) string {
	name := "postern_" + version + "_" + t.os + "_" + t.arch
	if t.os == "windows" {
		return name + ".zip"
	}
	return name + ".tar.gz"
}

// contents lists the entries of a system's archive, sorted by name.
func contents(t target, binary, licence []byte) []entry {
	entries := []entry{{name: "LICENSE", mode: 0o644, data: licence}}
	if t.os == "windows" {
		entries = append(entries, entry{name: "postern.exe", mode: 0o755, data: binary})
		for _, name := range linkNames() {
			entries = append(entries, entry{name: name + ".exe", mode: 0o755, data: binary})
		}
	} else {
		entries = append(entries, entry{name: "postern", mode: 0o755, data: binary})
		for _, name := range linkNames() {
			entries = append(entries, entry{name: name, mode: 0o777, link: "postern"})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries
}

// writeArchive packs the entries the way the system likes, all of them of time at,
// owned by nobody in particular.
func writeArchive(file string, t target, entries []entry, at time.Time) error {
	var packed bytes.Buffer
	pack := packTar
	if t.os == "windows" {
		pack = packZip
	}
	if err := pack(&packed, entries, at); err != nil {
		return fmt.Errorf("packing %s: %w", file, err)
	}
	return os.WriteFile(file, packed.Bytes(), 0o644)
}

func packTar(w io.Writer, entries []entry, at time.Time) error {
	compressed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(compressed)
	for _, e := range entries {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Size: int64(len(e.data)), ModTime: at, Format: tar.FormatUSTAR,
		}
		if e.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(e.data); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return compressed.Close()
}

func packZip(w io.Writer, entries []entry, at time.Time) error {
	archive := zip.NewWriter(w)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate, Modified: at}
		header.SetMode(os.FileMode(e.mode))
		file, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := file.Write(e.data); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeChecksums writes SHA-256 sums in the form that "sha256sum -c" reads.
func writeChecksums(dir, name string, files []string) error {
	var text strings.Builder
	for _, file := range slices.Sorted(slices.Values(files)) {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(data), file)
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(text.String()), 0o644)
}
