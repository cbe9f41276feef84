package ngrok

import "golang.org/x/sys/unix"

// setQuickAck turns delayed acknowledgements off for the moment (tcp(7)).
func setQuickAck(fd uintptr) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
}
