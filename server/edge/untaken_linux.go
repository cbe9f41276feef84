package edge

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// untaken counts the bytes that the kernel still holds for conn's peer: those that it
// has not acknowledged. 0 where nobody can tell.
func untaken(conn net.Conn) int {
	tcp, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0
	}
	var held int
	if raw.Control(func(fd uintptr) { held, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }) != nil || err != nil {
		return 0
	}
	return held
}
