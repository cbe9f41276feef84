package ngrok

import (
	"testing"

	"golang.org/x/sys/unix"
)

func quickAck(t *testing.T, conn *ackConn) bool {
	t.Helper()
	value := 0
	var failed error
	if err := conn.socket.Control(func(fd uintptr) {
		value, failed = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return value == 1
}
