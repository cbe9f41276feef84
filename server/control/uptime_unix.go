//go:build unix

package control

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime is the time of a clock that nobody sets and that all processes of the machine
// share; Go's own readings of it mean nothing to another process.
func uptime() time.Duration {
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &at); err != nil {
		return 0 // POSIX has no reason for it to fail
	}
	return time.Duration(at.Nano())
}
