//go:build unix

package console

import (
	"os"

	"golang.org/x/sys/unix"
)

// inForeground tells whether the terminal listens to this process. One in the
// background is stopped when it changes how the terminal works. A terminal that is
// not the process's own has no say in that.
func inForeground(terminal *os.File) bool {
	group, err := unix.IoctlGetInt(int(terminal.Fd()), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp()
}
