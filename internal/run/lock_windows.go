package run

import (
	"os"

	"golang.org/x/sys/windows"
)

// Lock takes an exclusive lock on a file for this process, or fails at once. It ends with the process.
func Lock(file *os.File) error {
	return windows.LockFileEx(windows.Handle(file.Fd()),
		windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
}
