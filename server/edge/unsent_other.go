//go:build !linux

package edge

import "net"

// limitUnsent does nothing: the kernel's own bounds hold.
func limitUnsent(net.Conn) {}
