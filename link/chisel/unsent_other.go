//go:build !linux

package chisel

import "net"

// limitUnsent does nothing: the systems differ in how it is asked for, and servers run
// on Linux.
func limitUnsent(*net.TCPConn, int) {}
