//go:build !linux

package mux

import "net"

// unsent is Linux's; elsewhere the kernel does not tell.
type unsent struct{}

// limitUnsent does nothing: the kernel takes what its send buffer holds.
func limitUnsent(net.Conn) unsent { return unsent{} }

func (unsent) bytes() int { return 0 }
