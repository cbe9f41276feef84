//go:build !windows

package e2e_test

import "syscall"

// askForStatistics has a connector print its statistics.
const askForStatistics = syscall.SIGUSR2
