package mux

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// unsentMost is what the kernel may hold of what it cannot send yet: one batch.
const unsentMost = gatherMost

// unsent asks the kernel what it has not sent yet; the zero value knows nothing.
type unsent struct {
	raw  syscall.RawConn
	ask  func(fd uintptr) // made once
	last int
}

// limitUnsent has the kernel take no more than unsentMost beyond what is under way.
// What waits here instead still goes in the order that the streams' turns give it;
// what the kernel holds, megabytes on a connection that was fast once, stands before
// every click. Best effort: a connection that is no socket of this process has none.
func limitUnsent(conn net.Conn) (u unsent) {
	for conn != nil {
		if tcp, ok := conn.(*net.TCPConn); ok {
			raw, err := tcp.SyscallConn()
			if err != nil {
				return u
			}
			_ = raw.Control(func(fd uintptr) {
				_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentMost)
			})
			u.raw = raw
			return u
		}
		above, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return u
		}
		conn = above.NetConn()
	}
	return u
}

// bytes is what the kernel has taken and never sent, 0 where that cannot be known.
func (u *unsent) bytes() int {
	if u.raw == nil {
		return 0
	}
	if u.ask == nil {
		u.ask = func(fd uintptr) {
			if n, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQNSD); err == nil {
				u.last = n
			}
		}
	}
	u.last = 0
	_ = u.raw.Control(u.ask)
	return u.last
}
