package relay

import "golang.org/x/sys/unix"

// canWatch: a socket can be waited for without a read.
const canWatch = true

// readable tells whether a read of a socket would return at once.
func readable(fd uintptr) bool {
	poll := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll[:], 0)
	return n != 0 || err != nil
}
