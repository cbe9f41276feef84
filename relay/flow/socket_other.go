//go:build !linux

package flow

import "net"

// batched is nil: only Linux moves several datagrams in one system call.
func batched(*net.UDPConn, bool) socket { return nil }

// enlarge asks the system for large buffers.
func enlarge(conn *net.UDPConn, size int) {
	_ = conn.SetReadBuffer(size)
	_ = conn.SetWriteBuffer(size)
}
