package chisel

import (
	"net"

	"github.com/postern-dev/postern/link"
)

// HeldWindow is the receive window that a server's session holds; 0 where it is the
// kernel's choice.
func HeldWindow(s link.Session) int { return int(s.(*session).conn.in.window.held.Load()) }

// HoldWindow gives what sets a connection's receive window; 0 leaves it to the kernel.
func HoldWindow(tcp *net.TCPConn) func(size int) error {
	h := holdWindow(tcp)
	return func(size int) error { return h.raw.Control(func(fd uintptr) { h.hold(int(fd), size) }) }
}
