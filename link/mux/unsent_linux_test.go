package mux_test

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
)

// B5-9: the kernel holds little of what it cannot send yet, at either end, also
// below TLS.
func TestTheKernelHoldsLittleUnsent(t *testing.T) {
	near, far := loopback(t)
	a, b := testkit.TLSPair(t, near, far, "x")
	client, server := mux.New(a, mux.Config{Client: true}), mux.New(b, mux.Config{})
	for _, conn := range []net.Conn{near, far} {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) {
			n, err := unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
			if err != nil || n != 128<<10 {
				t.Errorf("the kernel takes %d unsent bytes, %v", n, err)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	client.Close(nil)
	server.Close(nil)
	<-client.Closed()
	<-server.Closed()
}
