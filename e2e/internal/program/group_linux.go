package program

import "syscall"

// ownGroup has a process begin a group of its own, and die with the one that started it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
