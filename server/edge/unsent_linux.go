package edge

import (
	"net"

	"golang.org/x/sys/unix"
)

// visitorUnsent is how much the kernel may hold for a visitor of what it cannot send
// yet: two buffers of a relay.
const visitorUnsent = 128 << 10

// limitUnsent has the kernel take no more than visitorUnsent beyond what is under way.
// Else it takes megabytes for a visitor who reads slowly, asks for more only when a
// third of them is gone, and the burst that follows stands before every small answer.
// Best effort.
func limitUnsent(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, visitorUnsent)
		})
	}
}
