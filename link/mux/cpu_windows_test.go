package mux_test

import (
	"syscall"
	"time"
)

// cpu is the processor time that this process has used.
func cpu() time.Duration {
	var began, ended, kernel, user syscall.Filetime
	process, _ := syscall.GetCurrentProcess()
	_ = syscall.GetProcessTimes(process, &began, &ended, &kernel, &user)
	ticks := func(t syscall.Filetime) int64 { return int64(t.HighDateTime)<<32 | int64(t.LowDateTime) }
	return time.Duration(ticks(kernel)+ticks(user)) * 100
}
