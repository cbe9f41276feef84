package e2e_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// capture is every packet that passes a network interface, by the TCP ports at its ends.
type capture struct {
	t      *testing.T
	socket int
	ended  chan struct{}

	mu     sync.Mutex
	byPort map[int]*bytes.Buffer
}

// startCapture looks at an interface of the test's own namespace until stop.
func startCapture(t *testing.T, device string) *capture {
	t.Helper()
	on, err := net.InterfaceByName(device)
	if err != nil {
		t.Fatal(err)
	}
	everything := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	socket, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, everything)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) // else the small one must do
	if err := errors.Join(
		unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: uint16(everything), Ifindex: on.Index}),
		unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}),
	); err != nil {
		t.Fatal(err)
	}
	c := &capture{t: t, socket: socket, ended: make(chan struct{}), byPort: make(map[int]*bytes.Buffer)}
	stop := make(chan struct{})
	go c.read(stop)
	t.Cleanup(func() {
		close(stop)
		<-c.ended
		unix.Close(socket)
	})
	return c
}

func (c *capture) read(stop <-chan struct{}) {
	defer close(c.ended)
	packet := make([]byte, 128<<10)
	for {
		n, _, err := unix.Recvfrom(c.socket, packet, 0)
		if err == nil {
			c.keep(packet[:n])
			continue
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}

// keep sorts an IPv4 packet with TCP in it to both of its ports.
func (c *capture) keep(packet []byte) {
	if len(packet) < 20 || packet[0]>>4 != 4 || packet[9] != unix.IPPROTO_TCP {
		return
	}
	head := int(packet[0]&0xf) * 4
	if len(packet) < head+20 {
		return
	}
	segment := packet[head:]
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, port := range []int{int(binary.BigEndian.Uint16(segment)), int(binary.BigEndian.Uint16(segment[2:]))} {
		if c.byPort[port] == nil {
			c.byPort[port] = new(bytes.Buffer)
		}
		c.byPort[port].Write(segment)
	}
}

// of is what went to and from a port so far, and how often a text is in it. No packet may
// have been missed.
func (c *capture) of(port int, text string) (size, count int) {
	c.t.Helper()
	lost, err := unix.GetsockoptTpacketStats(c.socket, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	if err != nil || lost.Drops > 0 {
		c.t.Fatalf("the capture has missed packets: %+v, %v", lost, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byPort[port] == nil {
		return 0, 0
	}
	return c.byPort[port].Len(), bytes.Count(c.byPort[port].Bytes(), []byte(text))
}
