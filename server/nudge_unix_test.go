//go:build unix

package server_test

import (
	"os"
	"syscall"
)

// nudges are the ways to have a server look at its configuration at once.
func nudges() map[string]func() error {
	return map[string]func() error{
		"change": func() error { return nil },
		"SIGHUP": func() error { return syscall.Kill(os.Getpid(), syscall.SIGHUP) },
	}
}
