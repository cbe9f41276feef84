//go:build unix

package server_test

import (
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/server"
)

// nudges are the ways to have a server look at its configuration at once.
func nudges() map[string]func() error {
	return map[string]func() error{
		"change": func() error { return nil },
		"SIGHUP": func() error { return syscall.Kill(os.Getpid(), syscall.SIGHUP) },
	}
}

// A reload that is asked for the moment the server is ready is one; the signal's other
// meaning, the end of the process, it never has.
func TestSIGHUPAtTheBeginning(t *testing.T) {
	f := newFile(t, testConfig(t))
	c, err := f.load()
	if err != nil {
		t.Fatal(err)
	}
	loads := make(chan struct{}, 100)
	start(t, c, server.Options{
		Ready: func() { _ = syscall.Kill(os.Getpid(), syscall.SIGHUP) },
		Load: func() (server.Config, error) {
			loads <- struct{}{}
			return f.load()
		},
	})
	select {
	case <-loads:
	case <-time.After(10 * time.Second):
		t.Error("the configuration was not loaded again")
	}
}
