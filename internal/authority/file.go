package authority

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
	"github.com/postern-dev/postern/internal/run"
)

const (
	private = fs.FileMode(0o600)
	public  = fs.FileMode(0o644)
)

// file is one to write.
type file struct {
	name    string
	content []byte
	mode    fs.FileMode
}

// put writes files into a folder, which it makes: all of them or none, as far as a disk
// lets one say so. They are on the disk under other names before the first takes its
// place, because a certificate beside the key of another is worse than none. What is there
// already stays, unless it may be replaced; that is CodeConflict.
func put(folder string, replace bool, files ...file) (err error) {
	if err := makeDir(folder); err != nil {
		return err
	}
	for _, f := range files {
		path := filepath.Join(folder, f.name)
		info, err := os.Lstat(path)
		switch {
		case err == nil && !replace:
			return postern.Errorf(postern.CodeConflict, "%s is there already and nothing was written; give --force to replace it, or another folder with --out", path)
		case err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0:
			return postern.Errorf(postern.CodeConflict, "%s is no file; nothing was written", path)
		}
	}
	drafts, err := os.MkdirTemp(folder, ".new-*") // mode 0700
	if err != nil {
		return unwritable(folder, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(drafts)) }()
	for _, f := range files {
		if err := disk.Replace(filepath.Join(drafts, f.name), f.content, f.mode); err != nil {
			return unwritable(filepath.Join(folder, f.name), err)
		}
	}
	for _, f := range files {
		if err := os.Rename(filepath.Join(drafts, f.name), filepath.Join(folder, f.name)); err != nil {
			return unwritable(filepath.Join(folder, f.name), err)
		}
	}
	return disk.Sync(folder)
}

// makeDir makes a folder for its owner only; one that is there stays as it is.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return unwritable(dir, err)
	}
	return nil
}

func unwritable(path string, err error) error {
	return postern.Errorf(postern.CodeFileUnreadable, "%s cannot be written: %v", path, reason(err)).Because(reason(err))
}

// reason is an error of the file system without the path, which the message has.
func reason(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	if failed, ok := errors.AsType[*os.LinkError](err); ok {
		return failed.Err
	}
	return err
}

// patience is how long a command waits for another on the same directory: longer than
// any of them works.
const patience = 10 * time.Second

// lock keeps other processes from changing the directory until unlock.
func (a *Authority) lock() (unlock func(), err error) {
	held, err := os.OpenFile(a.path(lockFile), os.O_CREATE|os.O_RDWR, private)
	if err != nil {
		return nil, unwritable(a.path(lockFile), err)
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for limit := time.After(patience); run.Lock(held) != nil; {
		select {
		case <-again.C:
		case <-limit:
			_ = held.Close()
			return nil, postern.Errorf(postern.CodeConflict, "another postern ca has been changing %s for %v; try again when it is done", a.dir, patience)
		}
	}
	return func() { _ = held.Close() }, nil // the lock goes with it
}
