package archive

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	// perEntry is what the tar format may add to an entry: a header, padding, and an
	// extended header where a name or size needs one.
	perEntry = 8 << 10
	// longestEnd is the zeros at a tar's end; some programs write 10 KiB of them.
	longestEnd = 64 << 10
)

var errBudget = errors.New("it is longer than its manifest says")

// Read reads an archive to its end and calls accept with the manifest and then put with
// each file, whose body it must read whole. Only after Read has returned nil was all of
// the archive right: what put has made before is to be thrown away otherwise. An archive
// of a newer format is CodeBackupNewer, any that Write would not have written is
// CodeBackupInvalid, and what accept and put return comes back as it is.
func Read(ctx context.Context, r io.Reader, limits Limits, accept func(Manifest) error, put func(File, io.Reader) error) (Manifest, error) {
	source := &faulty{Reader: whileLasts{ctx, r}}
	m, err := read(source, limits.withDefaults(), accept, put)
	if source.err != nil { // the disk or network, not the archive
		return m, fmt.Errorf("read the backup: %w", source.err)
	}
	return m, err
}

// faulty remembers why reading failed, because decoders wrap it or hide it.
type faulty struct {
	io.Reader
	err error
}

func (f *faulty) Read(p []byte) (int, error) {
	n, err := f.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

func read(r io.Reader, limits Limits, accept func(Manifest) error, put func(File, io.Reader) error) (Manifest, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	compressed, err := gzip.NewReader(buffered)
	if err != nil {
		return Manifest{}, invalid("it is not gzip-compressed: %v", err)
	}
	compressed.Multistream(false)
	plain := &budget{r: compressed, left: maxManifest + perEntry}
	entries := tar.NewReader(plain)
	m, err := readManifest(entries, limits)
	if err != nil {
		return m, err
	}
	if err := accept(m); err != nil {
		return m, err
	}
	plain.left += m.Size() + int64(len(m.Files)+1)*perEntry
	for _, file := range m.Files {
		if err := readFile(entries, file, put); err != nil {
			return m, err
		}
	}
	if header, err := entries.Next(); err == nil {
		return m, invalid("%q is not in its manifest", shortened(header.Name))
	} else if !errors.Is(err, io.EOF) {
		return m, invalid("its end cannot be read: %v", err)
	}
	return m, readEnd(plain, buffered)
}

func readManifest(entries *tar.Reader, limits Limits) (Manifest, error) {
	header, err := entries.Next()
	if err != nil {
		return Manifest{}, invalid("it is no tar archive: %v", err)
	}
	if err := checkHeader(header, manifestName); err != nil {
		return Manifest{}, err
	}
	if header.Size > maxManifest {
		return Manifest{}, invalid("%s has %d bytes; at most %d are read", manifestName, header.Size, maxManifest)
	}
	text, err := io.ReadAll(entries)
	if err != nil {
		return Manifest{}, invalid("%s cannot be read: %v", manifestName, err)
	}
	return parseManifest(text, limits)
}

// checkHeader refuses what is not a plain file of this name. Whether the directory of
// an entry exists, whose it is and what mode it has decides who extracts it.
func checkHeader(header *tar.Header, name string) error {
	if header.Name != name {
		return invalid("it has %q where %q should be", shortened(header.Name), name)
	}
	if header.Typeflag != tar.TypeReg || header.Linkname != "" {
		return invalid("%q is a link, a directory or a device instead of a file", name)
	}
	for key := range header.PAXRecords {
		if key != "path" && key != "size" && key != "mtime" {
			return invalid("%q has the attribute %q, which backups do not have", name, shortened(key))
		}
	}
	return nil
}

func readFile(entries *tar.Reader, file File, put func(File, io.Reader) error) error {
	header, err := entries.Next()
	if err != nil {
		return invalid("%q is missing or cannot be read: %v", file.Name, err)
	}
	if err := checkHeader(header, file.Name); err != nil {
		return err
	}
	if header.Size != file.Size {
		return invalid("%q has %d bytes, its manifest says %d", file.Name, header.Size, file.Size)
	}
	hash := sha256.New()
	body := &faulty{Reader: io.TeeReader(entries, hash)}
	err = put(file, body)
	if body.err != nil {
		return invalid("%q cannot be read: %v", file.Name, body.err)
	}
	if err != nil {
		return err
	}
	if sum := hex.EncodeToString(hash.Sum(nil)); !strings.EqualFold(sum, file.SHA256) {
		return invalid("%q has the checksum %s, its manifest says %s", file.Name, sum, file.SHA256)
	}
	return nil
}

// readEnd reads what is left, so that gzip compares its own checksum and nothing hides
// behind the archive.
func readEnd(plain *budget, compressed *bufio.Reader) error {
	plain.left = longestEnd
	end, err := io.ReadAll(plain)
	if err != nil {
		return invalid("its end cannot be read: %v", err)
	}
	if strings.Trim(string(end), "\x00") != "" {
		return invalid("something follows the last file")
	}
	if _, err := compressed.ReadByte(); !errors.Is(err, io.EOF) {
		return invalid("something follows the compressed archive")
	}
	return nil
}

// budget reads no more than left bytes: a few bytes of gzip can be gigabytes of tar.
type budget struct {
	r    io.Reader
	left int64
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// The end may be exactly here.
		if n, err := b.r.Read(make([]byte, 1)); n == 0 && err != nil {
			return 0, err
		}
		return 0, errBudget
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
