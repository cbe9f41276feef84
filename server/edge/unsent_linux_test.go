package edge

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// A visitor who reads nothing is given little in advance: the kernel would take
// megabytes, and ask for more in bursts of a third of them.
func TestTheKernelHoldsLittleForAVisitor(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	visitor, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer visitor.Close()
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	limitUnsent(conn)
	if err := conn.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	taken := 0
	for part := make([]byte, 64<<10); err == nil; {
		var n int
		n, err = conn.Write(part)
		taken += n
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if taken > 1<<20 {
		t.Errorf("%d KiB were taken for a visitor who reads nothing, want 1 MiB at most", taken>>10)
	}
	limitUnsent(new(net.UnixConn)) // has no such bound
}
