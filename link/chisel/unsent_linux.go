package chisel

import (
	"net"

	"golang.org/x/sys/unix"
)

// limitUnsent bounds what the kernel keeps of ours before it is sent. It is no bound of
// what is under way.
func limitUnsent(tcp *net.TCPConn, bytes int) {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { // without it, answers to pings are late where links are slow
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, bytes)
	})
}
