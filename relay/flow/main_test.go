package flow_test

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/relay/flow"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// loopback opens a UDP socket.
func loopback(t testing.TB, address string) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.UDPConn)
}

// dial connects a UDP socket, which gives up after five seconds.
func dial(t testing.TB, to string) *net.UDPConn {
	t.Helper()
	conn, err := net.Dial("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.UDPConn)
}

// serve runs a Server until the test ends.
func serve(t testing.TB, conn net.PacketConn, c flow.Config) *flow.Server {
	t.Helper()
	s := flow.NewServer(conn, c)
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if c := s.Counters(); c.Open.Load() != 0 || s.Flows() != 0 {
			t.Errorf("%d flows are counted as open and %d in the table after the end", c.Open.Load(), s.Flows())
		}
	})
	return s
}

// relayed opens flows that end at a UDP service.
func relayed(t testing.TB, service string, counters *flow.Counters) func(context.Context, netip.AddrPort, []byte) (net.Conn, error) {
	return func(_ context.Context, _ netip.AddrPort, first []byte) (net.Conn, error) {
		near, far := testkit.Pipe()
		socket, err := net.Dial("udp", service)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { _ = near.Close() })
		go flow.Relay(context.Background(), far, socket, flow.Options{Counters: counters})
		_, err = near.Write(first)
		return near, err
	}
}

// echo answers every datagram with itself, until its socket is closed.
func echo(conn *net.UDPConn) {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return
		}
		_, _ = conn.WriteToUDPAddrPort(buffer[:n], from)
	}
}
