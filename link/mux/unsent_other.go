//go:build !linux

package mux

import "net"

// limitUnsent is Linux's; elsewhere the kernel takes what its send buffer holds.
func limitUnsent(net.Conn) {}
