package archive

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/postern-dev/postern"
)

const (
	// Format is the format that Write writes and the newest that Read reads.
	Format = 1

	manifestName = "manifest.json"
	maxManifest  = 4 << 20
	maxText      = 200 // bytes of a text in the manifest that people are shown
)

// Manifest says what an archive holds.
type Manifest struct {
	Format   int       `json:"format"`
	MadeBy   string    `json:"made_by"` // the version of Postern that wrote it
	MadeAt   time.Time `json:"made_at"` // whole seconds, UTC
	Database Database  `json:"database"`
	Files    []File    `json:"files"`
}

// Database says which rows belong to the files.
type Database struct {
	Engine string `json:"engine"` // "sqlite": the rows are one of the files
	Schema int64  `json:"schema"` // the version to which it had been migrated; 0 is unknown
}

// File is an entry of an archive.
type File struct {
	Name   string `json:"name"` // below the data directory, with slashes
	Size   int64  `json:"size"` // bytes
	SHA256 string `json:"sha256"`
}

// Limits bound what is written and read. The zero value is the defaults.
type Limits struct {
	Files int   // 0 means 10,000
	Bytes int64 // of all files together, uncompressed; 0 means 64 GiB
}

func (l Limits) withDefaults() Limits {
	if l.Files <= 0 {
		l.Files = 10_000
	}
	if l.Bytes <= 0 {
		l.Bytes = 64 << 30
	}
	return l
}

// Size is how many bytes the files have together.
func (m Manifest) Size() int64 {
	var sum int64
	for _, file := range m.Files {
		sum += file.Size
	}
	return sum
}

// parseManifest reads a manifest of this format; a newer one is CodeBackupNewer,
// whatever else it holds.
func parseManifest(text []byte, limits Limits) (Manifest, error) {
	var header struct {
		Format int    `json:"format"`
		MadeBy string `json:"made_by"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return Manifest{}, invalid("%s cannot be read: %v", manifestName, err)
	}
	switch {
	case header.Format > Format:
		return Manifest{}, postern.Errorf(postern.CodeBackupNewer, "the backup has format %d, made by Postern %q; this program reads formats up to %d",
			header.Format, shortened(header.MadeBy), Format)
	case header.Format < 1:
		return Manifest{}, invalid("%s has format %d; the first is 1", manifestName, header.Format)
	}
	var m Manifest
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return Manifest{}, invalid("%s cannot be read: %v", manifestName, err)
	}
	return m, m.check(limits)
}

// check refuses what no server can have written, and what is too much.
func (m Manifest) check(limits Limits) error {
	if len(m.MadeBy) > maxText || len(m.Database.Engine) > maxText {
		return invalid("a text in %s is longer than %d bytes", manifestName, maxText)
	}
	if m.Database.Schema < 0 {
		return invalid("%s has database.schema %d; it cannot be negative", manifestName, m.Database.Schema)
	}
	if len(m.Files) > limits.Files {
		return invalid("it holds %d files; at most %d are read", len(m.Files), limits.Files)
	}
	names, left := newNames(), limits.Bytes
	for _, file := range m.Files {
		if err := names.add(file.Name); err != nil {
			return err
		}
		if file.Size < 0 || file.Size > left {
			return invalid("with %q (%d bytes) it holds more than %d bytes, or a size that cannot be", file.Name, file.Size, limits.Bytes)
		}
		left -= file.Size
		if sum, err := hex.DecodeString(file.SHA256); err != nil || len(sum) != 32 {
			return invalid("%q has the checksum %q, which is no SHA-256 in hexadecimal", file.Name, shortened(file.SHA256))
		}
	}
	return nil
}

func shortened(text string) string { return text[:min(len(text), maxText)] }

func invalid(format string, args ...any) *postern.Error {
	return postern.Errorf(postern.CodeBackupInvalid, "the backup is damaged or none: "+format, args...)
}
