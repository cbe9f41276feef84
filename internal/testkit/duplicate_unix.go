//go:build unix

package testkit

import (
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Duplicate gives the socket below a listener or a connection as another process has it
// that was handed it. The caller closes the file.
//
// The File of package net will not do: whoever makes a listener of that takes the socket,
// for a moment, out of the non-blocking mode that both share, and an Accept that begins in
// that moment cannot be ended by Close.
func Duplicate(t testing.TB, socket syscall.Conn) *os.File {
	t.Helper()
	raw, err := socket.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := -1
	if err := raw.Control(func(fd uintptr) { number, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return os.NewFile(uintptr(number), "duplicate")
}
