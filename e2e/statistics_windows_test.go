package e2e_test

import "syscall"

// askForStatistics has no signal here.
const askForStatistics = syscall.Signal(0)
