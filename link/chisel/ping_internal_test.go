package chisel

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/frames"
	"github.com/postern-dev/postern/internal/testkit"
)

// Many ask at once, and the heartbeat between: everybody is answered, though few pings
// leave.
func TestPingsAtOnce(t *testing.T) {
	a, b := testkit.Pipe()
	server, client := newConn(a, nil, true, netip.Addr{}), newConn(b, nil, false, netip.Addr{})
	var all sync.WaitGroup
	for _, conn := range []*Conn{server, client} {
		all.Go(func() { _, _ = io.Copy(io.Discard, conn) })
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var asking sync.WaitGroup
	for range 50 {
		asking.Go(func() {
			for range 20 {
				server.beat()
				if _, err := server.Ping(ctx); err != nil {
					t.Error(err)
					return
				}
				server.beat()
			}
		})
	}
	asking.Wait()
	_, _ = server.Close(), client.Close()
	all.Wait()
}

// A peer may answer the last ping alone, and the last may be a beat's.
func TestOneAnswerForAll(t *testing.T) {
	a, b := testkit.Pipe()
	server := newConn(a, nil, true, netip.Addr{})
	var all sync.WaitGroup
	all.Go(func() { _, _ = io.Copy(io.Discard, server) })
	all.Go(func() {
		if _, err := server.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		_, _ = server.Close(), b.Close()
	})
	pings := make([]byte, 2*(2+8))
	if _, err := io.ReadFull(b, pings[:10]); err != nil {
		t.Fatal(err)
	}
	server.beat()
	if _, err := io.ReadFull(b, pings[10:]); err != nil {
		t.Fatal(err)
	}
	if pings[0] != 0x80|frames.Ping || pings[10] != 0x80|frames.Ping {
		t.Fatalf("not two pings: %x", pings)
	}
	if _, err := b.Write(append([]byte{0x80 | frames.Pong, 0x80 | 8, 0, 0, 0, 0}, pings[12:]...)); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}
