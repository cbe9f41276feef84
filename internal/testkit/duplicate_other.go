//go:build !unix

package testkit

import (
	"os"
	"syscall"
	"testing"
)

// Duplicate is for systems on which processes hand sockets to each other; this is none.
func Duplicate(t testing.TB, _ syscall.Conn) *os.File {
	t.Helper()
	t.Fatal("sockets are not handed over on this system")
	return nil
}
