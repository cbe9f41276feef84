// Package disk writes files whole or not at all.
package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace puts a file with this content and mode at path, whole or not at all, on the
// disk before it returns. Nobody ever reads half of it, and until it has its mode only
// its owner reads it. Of a symbolic link the link is replaced, not what it leads to, so
// nobody who may write to the directory chooses what is overwritten. What is no file is
// never replaced: a device, a pipe, or a link to one. The directory must be there.
func Replace(path string, content []byte, mode fs.FileMode) error {
	return replace(path, content, mode, nil)
}

// Update is Replace for a file of a person's: it keeps its owner, its mode but for the
// bits to take away, and its place behind a symbolic link. A new one is for its owner
// only, and so is a directory that is missing. A file that is a mount of its own, as
// containers have it, cannot be replaced and is written in place.
func Update(path string, content []byte, takeAway fs.FileMode) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return replace(path, content, 0o600, nil)
	}
	mode := info.Mode().Perm() &^ takeAway
	if err := replace(path, content, mode, info); !isMounted(err) {
		return err
	}
	return overwrite(path, content, mode)
}

// overwrite writes a file that is there; the old content goes byte by byte.
func overwrite(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Truncate(int64(len(content)))
	}
	return errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
}

// replace is Replace; the file gets the owner of like, where that is not nil and the
// process may do so.
func replace(path string, content []byte, mode fs.FileMode, like fs.FileInfo) error {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return &fs.PathError{Op: "replace", Path: path, Err: errors.New("not a regular file")}
	}
	draft, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = draft.Write(content)
	if like != nil {
		keepOwner(draft, like)
	}
	err = errors.Join(err, draft.Chmod(mode), draft.Sync(), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft.Name()))
	}
	return syncDirectory(filepath.Dir(path))
}

// Sync has the disk know which names a directory holds, as far as the system can.
func Sync(dir string) error { return syncDirectory(dir) }

// GiveTo gives a file or directory the owner and group of another, where the process may
// do so; elsewhere it stays what it is. Of a symbolic link it is the link that is given.
func GiveTo(path string, like fs.FileInfo) { giveTo(path, like) }
