package dial

import (
	"net"
	"syscall"
)

// onDevice binds sockets to an interface, whatever the routes say.
func onDevice(device *net.Interface) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var failed error
		if err := c.Control(func(fd uintptr) { failed = syscall.BindToDevice(int(fd), device.Name) }); err != nil {
			return err
		}
		return failed
	}
}
