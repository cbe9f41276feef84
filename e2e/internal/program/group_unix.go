//go:build unix

package program

import (
	"os"
	"syscall"
)

// signalGroup reaches the process's children too.
func signalGroup(p *os.Process, sig syscall.Signal) { _ = syscall.Kill(-p.Pid, sig) }
