//go:build !windows

package e2e_test

import "syscall"

// Signals that not every system has: a connector prints its statistics, and a program
// stands still and goes on.
const (
	askForStatistics = syscall.SIGUSR2
	standStill       = syscall.SIGSTOP
	goOn             = syscall.SIGCONT
)
