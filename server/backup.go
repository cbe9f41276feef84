package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
	"github.com/postern-dev/postern/server/archive"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

const (
	// backupAttempts is how often a backup is begun anew because a key or certificate was
	// changed while it was read; that is rare and takes the server a moment.
	backupAttempts = 5
	stagingPattern = ".postern-backup-*"
)

// BackedUp says what a backup holds.
type BackedUp struct {
	Archive  string           `json:"archive"` // "-" is standard output
	Bytes    int64            `json:"bytes"`   // of the archive
	DataDir  string           `json:"data_dir"`
	Manifest archive.Manifest `json:"manifest"`
	LeftOut  []string         `json:"left_out"` // what data_dir has besides, such as logs

	// Elsewhere are the keys of the configuration by which sealing keys are given: they are
	// not in data_dir, so not in the archive.
	Elsewhere []string `json:"elsewhere,omitempty"`

	// Dump is the command that saves the rows, where they are in PostgreSQL.
	Dump string `json:"dump,omitempty"`
}

// Backup writes all of c.DataDir that cannot be made again into an archive: a file at
// target that only its owner can read, in place of one that is there and whole or not at
// all, or stdout where target is "-". A server may use the directory meanwhile and does
// not notice. version is the program's. Rows that are in PostgreSQL are not in the
// archive.
func Backup(ctx context.Context, c Config, version, target string, stdout io.Writer) (BackedUp, error) {
	dir, err := filepath.Abs(c.DataDir)
	if err != nil {
		return BackedUp{}, unusable(c.DataDir, err)
	}
	b := backup{dir: dir, version: version, dialect: c.dialect()}
	if err := b.checkSource(); err != nil {
		return BackedUp{}, err
	}
	beside := ""
	if target != "-" {
		if target, err = checkTarget(dir, target); err != nil {
			return BackedUp{}, err
		}
		beside = filepath.Dir(target)
	}
	// The copies are as secret as the originals: the directory is its owner's only.
	staging, err := os.MkdirTemp(beside, stagingPattern)
	if err != nil {
		return BackedUp{}, unwritable(target, err)
	}
	b.staging = staging
	report, err := b.write(ctx, target, stdout)
	report.Elsewhere = c.Sealing.places()
	if b.dialect == sqlstore.PostgreSQL {
		report.Dump = dumpCommand(c.Database, target)
	}
	return report, errors.Join(err, os.RemoveAll(staging))
}

// checkTarget makes the target's path absolute. A backup in the directory that it saves
// would be lost with it, and be a part of the next one.
func checkTarget(dir, target string) (string, error) {
	absolute, err := filepath.Abs(target)
	if err != nil {
		return "", unwritable(target, err)
	}
	if info, err := os.Stat(absolute); err == nil && !info.Mode().IsRegular() {
		return "", postern.Errorf(postern.CodeFlagInvalid, "%s is not a file; give the name of the archive, or \"-\" for standard output", target)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(absolute))
	if err != nil {
		return "", unwritable(target, err)
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		if below, err := filepath.Rel(real, parent); err == nil && filepath.IsLocal(below) {
			return "", postern.Errorf(postern.CodeFlagInvalid,
				"%s is inside data_dir %s and would be lost with it; give a path elsewhere, on another machine at best", target, dir)
		}
	}
	return absolute, nil
}

func unwritable(target string, err error) error {
	return postern.Errorf(postern.CodeFileUnreadable, "the backup %s cannot be written: %v", target, reason(err)).Because(err)
}

// backup is one in the making.
type backup struct {
	dir, staging, version string
	dialect               sqlstore.Dialect
}

// checkSource refuses a directory without what restore insists on.
func (b backup) checkSource() error {
	needed := []string{databaseName, namesName}
	if b.dialect != sqlstore.SQLite {
		needed = []string{namesName}
	}
	for _, name := range needed {
		if _, err := os.Stat(filepath.Join(b.dir, name)); err != nil {
			return postern.Errorf(postern.CodeConfigInvalid,
				"data_dir %s has no %s: %v; give the --config or --data-dir of the server", b.dir, name, reason(err)).Because(err)
		}
	}
	return nil
}

func (b backup) write(ctx context.Context, target string, stdout io.Writer) (BackedUp, error) {
	report := BackedUp{Archive: target, DataDir: b.dir}
	draft := filepath.Join(b.staging, "archive")
	var err error
	for range backupAttempts {
		report.Manifest, report.LeftOut, err = b.attempt(ctx, draft)
		if !errors.Is(err, archive.ErrChanged) {
			break
		}
	}
	if err != nil {
		return report, b.explained(err)
	}
	if report.Bytes, err = verify(ctx, draft); err != nil {
		return report, unwritable(target, err)
	}
	if target == "-" {
		return report, copyTo(ctx, stdout, draft)
	}
	if err := os.Rename(draft, target); err != nil {
		return report, unwritable(target, err)
	}
	return report, disk.Sync(filepath.Dir(target))
}

func (b backup) explained(err error) error {
	var coded *postern.Error
	switch {
	case errors.As(err, &coded):
		return err
	case errors.Is(err, archive.ErrChanged):
		return postern.Errorf(postern.CodeDataDirLocked, "files in data_dir %s keep changing: %v; try again in a moment", b.dir, err).Because(err)
	default:
		return postern.Errorf(postern.CodeFileUnreadable, "data_dir %s cannot be saved: %v", b.dir, err).Because(err)
	}
}

// attempt writes the archive once. The files are looked at before the database is copied
// and after all is written, so that those in the archive were there together, and were
// there when the rows were: a sealing key that a rotation has taken out meanwhile would
// leave rows that nothing opens.
func (b backup) attempt(ctx context.Context, draft string) (archive.Manifest, []string, error) {
	files, leftOut, err := survey(b.dir)
	if err != nil {
		return archive.Manifest{}, nil, err
	}
	database, sources, err := b.rows(ctx)
	if err != nil {
		return archive.Manifest{}, nil, err
	}
	if _, err := os.Lstat(filepath.Join(b.dir, databaseName)); err == nil && b.dialect != sqlstore.SQLite {
		leftOut = append(leftOut, databaseName) // of the time before PostgreSQL
	}
	for _, file := range files {
		sources = append(sources, archive.Source{Name: file.name, Path: filepath.Join(b.dir, filepath.FromSlash(file.name))})
	}
	out, err := os.OpenFile(draft, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return archive.Manifest{}, nil, err
	}
	m, err := archive.Write(ctx, out, archive.Manifest{
		MadeBy: b.version, MadeAt: time.Now(), Database: database,
	}, sources, archive.Limits{})
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return m, leftOut, err
	}
	again, _, err := survey(b.dir)
	if err == nil && !slices.Equal(files, again) {
		err = archive.ErrChanged
	}
	return m, leftOut, err
}

// rows copies the database, where it is a file of ours.
func (b backup) rows(ctx context.Context) (archive.Database, []archive.Source, error) {
	database := archive.Database{Engine: string(b.dialect)}
	if b.dialect != sqlstore.SQLite {
		return database, nil, nil
	}
	snapshot := filepath.Join(b.staging, databaseName)
	if err := os.Remove(snapshot); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return database, nil, err
	}
	var err error
	database.Schema, err = sqlstore.Snapshot(ctx, databaseEngine(filepath.Join(b.dir, databaseName)), snapshot)
	return database, []archive.Source{{Name: databaseName, Path: snapshot}}, err
}

// verify reads the archive as restore will, and returns its size.
func verify(ctx context.Context, path string) (int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	accept := func(archive.Manifest) error { return nil }
	discard := func(_ archive.File, body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	if _, err := archive.Read(ctx, file, archive.Limits{}, accept, discard); err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func copyTo(ctx context.Context, w io.Writer, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	stop := context.AfterFunc(ctx, func() { _ = file.Close() })
	defer stop()
	if _, err := io.Copy(w, file); err != nil {
		return unwritable("-", err)
	}
	return nil
}

// seen is a file of the data directory as it was at one moment.
type seen struct {
	name     string
	size     int64
	modified time.Time
}

// survey lists what is to be saved, and what is not but might be missed. All that
// nobody knows is saved: a key that was forgotten here would be lost.
func survey(dir string) (files []seen, leftOut []string, err error) {
	leftOut = []string{}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		below, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(below)
		switch fate(name, entry) {
		case madeAgain:
			if entry.IsDir() {
				return fs.SkipDir
			}
		case reported:
			leftOut = append(leftOut, name)
			if entry.IsDir() {
				return fs.SkipDir
			}
		case saved:
			info, err := os.Stat(path) // what a link leads to, as the server reads it
			if err != nil {
				return fmt.Errorf("%w: %w", archive.ErrChanged, err)
			}
			if !info.Mode().IsRegular() {
				return postern.Errorf(postern.CodeConfigInvalid, "%s leads to something that is no file; put its content into data_dir itself", path)
			}
			files = append(files, seen{name, info.Size(), info.ModTime()})
		}
		return nil
	})
	return files, leftOut, err
}

// fates are what a backup does with something in a data directory.
type fates int

const (
	walked    fates = iota // a directory
	saved                  // in the archive
	madeAgain              // by the next start, or of no use to it
	reported               // left out, and named
)

func fate(name string, entry fs.DirEntry) fates {
	switch name {
	case lockName, socketName, processesDir, databaseName, databaseName + "-wal", databaseName + "-shm", databaseName + "-journal":
		return madeAgain // the database is in the archive as a snapshot
	}
	base := path.Base(name)
	kind := entry.Type()
	switch {
	case strings.HasPrefix(base, ".new-"), strings.HasPrefix(base, ".postern-"): // drafts, see disk.Replace
		return madeAgain
	case kind&fs.ModeSocket != 0 || kind&fs.ModeNamedPipe != 0:
		return madeAgain
	case strings.HasPrefix(base, "."), strings.HasSuffix(base, ".log"), base == "cache", base == "lost+found", !archive.ValidName(name):
		return reported // no server's: it may be the home of a person, too
	case entry.IsDir():
		return walked
	case kind.IsRegular() || kind&fs.ModeSymlink != 0:
		return saved
	}
	return reported
}
