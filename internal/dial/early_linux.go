package dial

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// connectEarly connects a socket to an address of this machine before package net does,
// which then finds it connected, or refused. Over the loopback interface that is known by
// the end of the first call already, though the call says that it is under way: package net
// would wait for the poller to say so.
func connectEarly(_, address string, c syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || at.Addr().Zone() != "" {
		return nil
	}
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: int(at.Port()), Addr: at.Addr().As16()}
	if at.Addr().Is4() {
		to = &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	}
	return c.Control(func(fd uintptr) { _ = unix.Connect(int(fd), to) }) // package net meets its error again
}
