package chisel_test

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-dev/postern/internal/testkit/path"
	"github.com/postern-dev/postern/link/chisel"
)

// What a connector sends over a slow path with a deep queue is held near what the path
// carries; over a fast one it is not.
func TestReceiveWindowOfARealClient(t *testing.T) {
	t.Parallel()
	if !path.Isolate(t) {
		return
	}
	p, there := path.Between(t, path.Both(path.Way{Delay: time.Millisecond, Rate: 40_000_000, Queue: 1 << 20}))
	g := newGatewayAt(t, p.Near().String())
	var at string
	if err := there.Do(func() error {
		at = "R:8081:127.0.0.1:" + target(t, pour)
		realClient(t, g.address, token, "", at)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	session := g.next(1).Session
	st := visit(t, session, at, "192.0.2.7:4711")
	defer st.Close()
	piece := make([]byte, 64<<10)
	for chisel.HeldWindow(session) == 0 {
		if _, err := io.ReadFull(st, piece); err != nil {
			t.Fatalf("the window is not held: %v", err)
		}
	}
	near := newGateway(t)
	here := "R:8082:127.0.0.1:" + target(t, pour)
	realClient(t, near.address, token, "", here)
	session = near.next(1).Session
	fast := visit(t, session, here, "192.0.2.7:4712")
	defer fast.Close()
	for range 1024 {
		if _, err := io.ReadFull(fast, piece); err != nil {
			t.Fatal(err)
		}
	}
	if held := chisel.HeldWindow(session); held != 0 {
		t.Errorf("on this machine the window is held at %d", held)
	}
}

// pour sends until nobody takes it.
func pour(conn net.Conn) {
	piece := make([]byte, 64<<10)
	for {
		if _, err := conn.Write(piece); err != nil {
			return
		}
	}
}

// A held window is what the peer sees, and one that is let go grows again.
func TestHeldWindowIsThePeers(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	poured := make(chan struct{})
	go func() {
		defer close(poured)
		pour(dialled)
	}()
	defer func() {
		accepted.Close()
		<-poured
		dialled.Close()
	}()
	_ = accepted.SetDeadline(time.Now().Add(patience))
	hold := chisel.HoldWindow(accepted.(*net.TCPConn))
	const size = 64 << 10
	if err := hold(size); err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 1<<20)
	for range 32 {
		if _, err := io.ReadFull(accepted, piece); err != nil {
			t.Fatal(err)
		}
	}
	if window := peerWindow(t, dialled.(*net.TCPConn)); window > 2*size {
		t.Errorf("the window is held at %d, and the peer sees one of %d", size, window)
	}
	if err := hold(0); err != nil {
		t.Fatal(err)
	}
	for peerWindow(t, dialled.(*net.TCPConn)) <= 2*size {
		if _, err := io.ReadFull(accepted, piece); err != nil {
			t.Fatalf("the window does not grow again: %v", err)
		}
	}
}

// peerWindow is what conn's peer allows to be under way.
func peerWindow(t *testing.T, conn *net.TCPConn) int {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var info *unix.TCPInfo
	if failed := raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }); failed != nil || err != nil {
		t.Fatal(os.NewSyscallError("getsockopt", err), failed)
	}
	return int(info.Snd_wnd)
}
