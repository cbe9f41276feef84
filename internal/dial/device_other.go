//go:build !linux

package dial

import (
	"net"
	"syscall"
)

// onDevice is nil: an interface is chosen by its address here.
func onDevice(*net.Interface) func(network, address string, c syscall.RawConn) error { return nil }
