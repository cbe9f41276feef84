package archive

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// ErrChanged says that a file was another when it was read again. Nothing is wrong with
// it; whoever meets that writes the archive anew.
var ErrChanged = errors.New("a file changed while it was read")

// Source is a file that goes into an archive.
type Source struct {
	Name string // in the archive
	Path string // on this machine
}

// Write writes an archive of the files in their order and returns its manifest, which
// is m with Format and Files set and times in whole seconds. What it could not read
// again, it does not write. On an error, ErrChanged among them, w holds a part that is
// of no use. It ends early when ctx does.
func Write(ctx context.Context, w io.Writer, m Manifest, files []Source, limits Limits) (Manifest, error) {
	m.Format, m.MadeAt, m.Files = Format, m.MadeAt.UTC().Truncate(time.Second), make([]File, 0, len(files))
	for _, source := range files {
		file, err := measure(ctx, source)
		if err != nil {
			return m, err
		}
		m.Files = append(m.Files, file)
	}
	if err := m.check(limits.withDefaults()); err != nil {
		return m, fmt.Errorf("a backup that could not be restored: %w", err)
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, fmt.Errorf("write %s: %w", manifestName, err)
	}
	compressed := gzip.NewWriter(w)
	entries := tar.NewWriter(compressed)
	if err := addEntry(entries, manifestName, int64(len(text)), m.MadeAt); err != nil {
		return m, err
	}
	if _, err := entries.Write(text); err != nil {
		return m, err
	}
	for i, source := range files {
		if err := addFile(ctx, entries, m.Files[i], source, m.MadeAt); err != nil {
			return m, err
		}
	}
	return m, errors.Join(entries.Close(), compressed.Close())
}

// measure reads a file once, for the manifest, which comes before the file.
func measure(ctx context.Context, source Source) (File, error) {
	sum, size, err := copyFile(ctx, io.Discard, source.Path)
	return File{Name: source.Name, Size: size, SHA256: sum}, err
}

func addEntry(entries *tar.Writer, name string, size int64, at time.Time) error {
	return entries.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, ModTime: at})
}

func addFile(ctx context.Context, entries *tar.Writer, file File, source Source, at time.Time) error {
	if err := addEntry(entries, file.Name, file.Size, at); err != nil {
		return err
	}
	sum, size, err := copyFile(ctx, entries, source.Path)
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && (sum != file.SHA256 || size != file.Size) {
		return fmt.Errorf("%w: %s", ErrChanged, source.Path)
	}
	return err
}

// copyFile copies a regular file and returns the hash and number of its bytes.
func copyFile(ctx context.Context, w io.Writer, path string) (sum string, size int64, err error) {
	file, err := os.Open(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return "", 0, fmt.Errorf("%w: %w", ErrChanged, err)
		}
		return "", 0, err
	}
	defer file.Close()
	hash := sha256.New()
	size, err = io.Copy(io.MultiWriter(hash, w), whileLasts{ctx, file})
	if err != nil {
		return "", 0, fmt.Errorf("copy %s: %w", path, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), size, nil
}

// whileLasts reads until its context ends.
type whileLasts struct {
	ctx context.Context
	io.Reader
}

func (r whileLasts) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
