//go:build unix

package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// keepOwner gives f the owner and group of another file. Only root may do so; what
// others write is theirs.
func keepOwner(f *os.File, like fs.FileInfo) {
	if owner, ok := like.Sys().(*syscall.Stat_t); ok {
		_ = f.Chown(int(owner.Uid), int(owner.Gid))
	}
}

func giveTo(path string, like fs.FileInfo) {
	if owner, ok := like.Sys().(*syscall.Stat_t); ok {
		_ = os.Lchown(path, int(owner.Uid), int(owner.Gid))
	}
}

// isMounted tells whether a file could not be replaced because something is mounted there.
func isMounted(err error) bool { return errors.Is(err, syscall.EBUSY) }

// syncDirectory has the disk know of a file's new name. Some file systems of
// containers and networks cannot.
func syncDirectory(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil // it may be written to and not read; the file is there
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return fmt.Errorf("the new name in %s may be lost with the power: %w", dir, err)
	}
	return nil
}
