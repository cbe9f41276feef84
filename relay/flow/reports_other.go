//go:build !windows

package flow

import "syscall"

// reports are the errors that hand out an ICMP message about an earlier datagram.
func reports() [3]syscall.Errno {
	return [...]syscall.Errno{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH}
}
