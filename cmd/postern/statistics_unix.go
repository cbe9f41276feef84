//go:build unix

package main

import (
	"os"
	"os/signal"
	"syscall"
)

// notifyStatistics has SIGUSR2 sent to c.
func notifyStatistics(c chan<- os.Signal) { signal.Notify(c, syscall.SIGUSR2) }

// isHangup tells SIGHUP from the others.
func isHangup(s os.Signal) bool { return s == syscall.SIGHUP }
