//go:build !unix

package disk

import (
	"io/fs"
	"os"
)

// keepOwner does nothing: files belong to whom the directory's rules say.
func keepOwner(*os.File, fs.FileInfo) {}

// isMounted is false: files are no mounts here.
func isMounted(error) bool { return false }

// syncDirectory does nothing: directories cannot be synced here.
func syncDirectory(string) error { return nil }

// giveTo does nothing: see keepOwner.
func giveTo(string, fs.FileInfo) {}
