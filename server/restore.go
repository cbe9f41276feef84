package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
	"github.com/postern-dev/postern/internal/run"
	"github.com/postern-dev/postern/server/archive"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

// Restored says what a backup has put where.
type Restored struct {
	Archive  string           `json:"archive"` // "-" is standard input
	DataDir  string           `json:"data_dir"`
	Manifest archive.Manifest `json:"manifest"`

	// Load is the command that brings the rows back, where they were in PostgreSQL.
	Load string `json:"load,omitempty"`
}

// Restore makes c.DataDir from the archive at source, or from stdin where source is "-".
// The directory must be empty or absent; there is no way to restore over another, which
// would be two installations in one. All of the archive is checked beside the directory,
// which then gets its name at once: after an error it is as it was. Where it was there
// the files get its owner.
func Restore(ctx context.Context, c Config, source string, stdin io.Reader) (Restored, error) {
	target, before, err := restoreTarget(c.DataDir)
	if err != nil {
		return Restored{}, err
	}
	if source != "-" {
		file, err := openArchive(source)
		if err != nil {
			return Restored{}, err
		}
		defer file.Close()
		stdin = file
	}
	parent := filepath.Dir(target)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return Restored{}, unusable(target, err)
	}
	staging, err := os.MkdirTemp(parent, ".postern-restore-*") // mode 0700
	if err != nil {
		return Restored{}, postern.Errorf(postern.CodeConfigInvalid,
			"data_dir %s: the directory it is in, %s, cannot be written to: %v; a backup is put together beside data_dir", target, parent, reason(err)).Because(err)
	}
	m, err := restoreInto(ctx, staging, source, stdin, c.dialect())
	if err == nil {
		err = install(staging, target, before)
	}
	if err != nil {
		return Restored{}, errors.Join(err, os.RemoveAll(staging))
	}
	report := Restored{Archive: source, DataDir: target, Manifest: m}
	if c.dialect() == sqlstore.PostgreSQL {
		report.Load = loadCommand(c.Database, source)
	}
	return report, nil
}

// openArchive opens what must be a file: a pipe or a device is given as "-".
func openArchive(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a file; for a pipe give \"-\"")
	}
	var file *os.File
	if err == nil {
		file, err = os.Open(path)
	}
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the backup %s cannot be read: %v", path, reason(err)).Because(err)
	}
	return file, nil
}

// restoreTarget finds out where the directory really is, and that nothing is in it.
// before describes it where it exists.
func restoreTarget(path string) (target string, before fs.FileInfo, err error) {
	target, err = filepath.Abs(path)
	if err != nil {
		return "", nil, unusable(path, err)
	}
	if _, err := os.Lstat(target); errors.Is(err, fs.ErrNotExist) {
		return target, nil, nil
	}
	if target, err = filepath.EvalSymlinks(target); err != nil {
		return "", nil, unusable(path, err)
	}
	before, err = os.Stat(target)
	if err != nil {
		return "", nil, unusable(target, err)
	}
	entries, err := os.ReadDir(target)
	if err != nil {
		return "", nil, unusable(target, err)
	}
	if len(entries) == 0 {
		return target, before, nil
	}
	if held(filepath.Join(target, lockName)) {
		return "", nil, postern.Errorf(postern.CodeDataDirLocked,
			"a server uses data_dir %s; stop it and move the directory away, or give another --data-dir", target)
	}
	return "", nil, notEmpty(target, entries[0].Name())
}

func notEmpty(target, first string) *postern.Error {
	return postern.Errorf(postern.CodeDataDirNotEmpty,
		"data_dir %s is not empty: it has %q; move the directory away (mv %s %s.old), or give another --data-dir", target, first, target, target)
}

// held tells whether a process has the lock of a data directory.
func held(path string) bool {
	lock, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer lock.Close()
	return run.Lock(lock) != nil
}

// restoreInto extracts the archive and checks that a server can start with it.
func restoreInto(ctx context.Context, staging, source string, r io.Reader, dialect sqlstore.Dialect) (archive.Manifest, error) {
	accept := func(m archive.Manifest) error { return acceptable(m, dialect) }
	m, err := archive.Extract(ctx, r, staging, archive.Limits{}, accept)
	if err == nil && dialect == sqlstore.SQLite {
		err = checkDatabase(ctx, filepath.Join(staging, databaseName), m)
	}
	var coded *postern.Error
	switch {
	case errors.As(err, &coded):
		named := *coded
		named.Message = source + ": " + coded.Message
		return m, &named
	case err != nil:
		return m, postern.Errorf(postern.CodeFileUnreadable, "the backup %s cannot be restored: %v", source, err).Because(err)
	}
	return m, nil
}

// acceptable refuses by its manifest what this program could not run with.
func acceptable(m archive.Manifest, dialect sqlstore.Dialect) error {
	switch engine := sqlstore.Dialect(m.Database.Engine); {
	case engine != sqlstore.SQLite && engine != sqlstore.PostgreSQL:
		return postern.Errorf(postern.CodeBackupInvalid, "the backup is of a server with the database engine %q, which is neither %s nor %s", engine, sqlstore.SQLite, sqlstore.PostgreSQL)
	case engine != dialect:
		return postern.Errorf(postern.CodeConfigInvalid, "the backup is of a server with the database engine %s, the key database of this configuration means %s; give the configuration that the server had", engine, dialect)
	}
	if m.Database.Schema > sqlstore.NewestSchema() {
		return newerSchema(m, m.Database.Schema)
	}
	missing := map[string]bool{namesName: true, databaseName: dialect == sqlstore.SQLite}
	for _, file := range m.Files {
		first, _, _ := strings.Cut(file.Name, "/")
		switch first {
		case lockName, socketName, processesDir, databaseName + "-wal", databaseName + "-shm", databaseName + "-journal":
			return postern.Errorf(postern.CodeBackupInvalid, "the backup is damaged or none: it holds %q, which no backup does", file.Name)
		}
		missing[file.Name] = false
	}
	for name, is := range missing {
		if is {
			return postern.Errorf(postern.CodeBackupInvalid, "the backup is damaged or none: it holds no %s", name)
		}
	}
	return nil
}

func newerSchema(m archive.Manifest, schema int64) error {
	return postern.Errorf(postern.CodeBackupNewer, "the backup's database is at version %d, made by Postern %q; this program knows versions up to %d",
		schema, m.MadeBy, sqlstore.NewestSchema())
}

// checkDatabase looks at the rows themselves: checksums say that they are what was
// saved, not that it was a database.
func checkDatabase(ctx context.Context, path string, m archive.Manifest) error {
	schema, err := sqlstore.InspectFile(ctx, databaseEngine(path), path)
	if err != nil {
		return postern.Errorf(postern.CodeBackupInvalid, "the backup's %s cannot be used: %v", databaseName, postern.AsError(err).Text()).Because(err)
	}
	switch {
	case schema > sqlstore.NewestSchema():
		return newerSchema(m, schema)
	case schema != m.Database.Schema:
		return postern.Errorf(postern.CodeBackupInvalid, "the backup's database is at version %d, its manifest says %d", schema, m.Database.Schema)
	}
	return nil
}

// install gives the directory its name. What somebody has put there meanwhile stays,
// and is an error.
func install(staging, target string, before fs.FileInfo) error {
	err := filepath.WalkDir(staging, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if before != nil {
			disk.GiveTo(path, before)
		}
		if entry.IsDir() {
			return disk.Sync(path)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("finish %s: %w", staging, err)
	}
	if before != nil {
		if err := os.Remove(target); err != nil { // only if it is empty
			return postern.Errorf(postern.CodeConfigInvalid,
				"data_dir %s cannot be replaced: %v; if it is a mount point, give a --data-dir below it", target, reason(err)).Because(err)
		}
	}
	if err := os.Rename(staging, target); err != nil {
		if before != nil && os.Mkdir(target, before.Mode().Perm()) == nil {
			disk.GiveTo(target, before)
		}
		return postern.Errorf(postern.CodeConfigInvalid, "data_dir %s cannot be made: %v; is a server starting there?", target, linkReason(err)).Because(err)
	}
	return disk.Sync(filepath.Dir(target))
}

// linkReason gives what the operating system said of a rename, without its paths.
func linkReason(err error) error {
	var link *os.LinkError
	if errors.As(err, &link) {
		return link.Err
	}
	return err
}
