package mux

import (
	"net"

	"golang.org/x/sys/unix"
)

// unsentMost is what the kernel may hold of what it cannot send yet: one batch.
const unsentMost = gatherMost

// limitUnsent has the kernel take no more than unsentMost beyond what is under way.
// What waits here instead still goes in the order that the streams' turns give it;
// what the kernel holds, megabytes on a connection that was fast once, stands before
// every click. Best effort: a connection that is no socket of this process has none.
func limitUnsent(conn net.Conn) {
	for conn != nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			raw, err := tcp.SyscallConn()
			if err != nil {
				return
			}
			_ = raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMost)
			})
			return
		}
		above, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return
		}
		conn = above.NetConn()
	}
}
