package flow

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// reports are the errors that hand out an ICMP message about an earlier datagram: Windows
// calls "port unreachable" a reset connection.
func reports() [3]syscall.Errno {
	return [...]syscall.Errno{windows.WSAECONNRESET, windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH}
}
