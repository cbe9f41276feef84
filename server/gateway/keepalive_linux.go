package gateway

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// How often a silent consumer's machine is asked whether it is there, as package net does.
const (
	keepAliveSeconds = 15
	keepAliveTries   = 9
)

// keepsAlive is how to listen so that connections are kept alive. They have it from the
// listener here: to ask for it on each would be four system calls more.
func keepsAlive() net.ListenConfig {
	return net.ListenConfig{KeepAlive: -1, Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			for _, option := range [...][3]int{
				{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, keepAliveSeconds},
				{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, keepAliveSeconds}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, keepAliveTries},
			} {
				if failed == nil {
					failed = unix.SetsockoptInt(int(fd), option[0], option[1], option[2])
				}
			}
		})
		if err == nil {
			err = failed
		}
		return err
	}}
}
