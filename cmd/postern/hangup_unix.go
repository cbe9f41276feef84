//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyHangup has SIGHUP sent to c.
func notifyHangup(c chan<- os.Signal) { signal.Notify(c, syscall.SIGHUP) }

// ignoresHangup tells whether whoever started the process (nohup) has it ignore SIGHUP.
func ignoresHangup() bool { return signal.Ignored(syscall.SIGHUP) }
