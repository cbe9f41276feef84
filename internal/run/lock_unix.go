//go:build unix

package run

import (
	"os"

	"golang.org/x/sys/unix"
)

// Lock takes an exclusive lock on a file for this process, or fails at once. It ends with the file's last
// descriptor, so a crash leaves none behind.
func Lock(file *os.File) error {
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}
