package server

import (
	"os"

	"golang.org/x/sys/windows"
)

// lockFile takes an exclusive lock, or fails at once. It ends with the process.
func lockFile(file *os.File) error {
	return windows.LockFileEx(windows.Handle(file.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
}
