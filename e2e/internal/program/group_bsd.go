//go:build unix && !linux

package program

import "syscall"

// ownGroup has a process begin a group of its own. Nothing ends it with the one that
// started it, where that is killed.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
