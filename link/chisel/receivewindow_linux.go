package chisel

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lockReceive is SOCK_RCVBUF_LOCK of SO_BUF_LOCK (Linux 5.14): the kernel does not
	// make the buffer larger, and the window with it.
	lockReceive = 2
	// anyWindow is a clamp that clamps nothing.
	anyWindow = 1 << 30
)

// windowHolder holds the receive window of a TCP connection. It belongs to the
// connection's reader, but for held.
type windowHolder struct {
	raw    syscall.RawConn
	next   time.Time
	window receiveWindow
	set    int
	held   atomic.Int64 // set, for others to see
}

// holdWindow gives what looks after a connection's receive window; nil where that
// cannot be.
func holdWindow(tcp *net.TCPConn) *windowHolder {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	return &windowHolder{raw: raw}
}

// arrived looks at the connection, if it is time.
func (h *windowHolder) arrived(now time.Time) {
	if h == nil || now.Before(h.next) {
		return
	}
	h.next = now.Add(lookTime)
	_ = h.raw.Control(func(fd uintptr) { // a connection that has ended needs no window
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		h.hold(int(fd), h.window.look(pathState{
			at: now, received: info.Bytes_received,
			rtt:  time.Duration(roundTrip(info)) * time.Microsecond,
			base: time.Duration(info.Min_rtt) * time.Microsecond,
		}))
	})
}

// roundTrip is the lesser of what our data and the peer's say, in microseconds: each can
// only be too long, ours by an acknowledgement that waited for company.
func roundTrip(info *unix.TCPInfo) uint32 {
	if info.Rcv_rtt == 0 {
		return info.Rtt
	}
	return min(info.Rtt, info.Rcv_rtt)
}

// hold tells the kernel. One that does not know how to keep its hands off the buffer
// keeps the window as well.
func (h *windowHolder) hold(fd, size int) {
	if size == h.set {
		return
	}
	lock, clamp := lockReceive, size
	if size == 0 {
		lock, clamp = 0, anyWindow
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BUF_LOCK, lock) != nil ||
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_WINDOW_CLAMP, clamp) != nil {
		return
	}
	h.set = size
	h.held.Store(int64(size))
}
