package program

import (
	"os"
	"syscall"
)

// ownGroup gives nothing: Windows has no process groups of this kind.
func ownGroup() *syscall.SysProcAttr { return nil }

// signalGroup ends the process: Windows knows no other signal.
func signalGroup(p *os.Process, _ syscall.Signal) { _ = p.Kill() }
