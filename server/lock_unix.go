//go:build unix

package server

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile takes an exclusive lock, or fails at once. It ends with the file's last
// descriptor, so a crash leaves none behind.
func lockFile(file *os.File) error {
	return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
}
