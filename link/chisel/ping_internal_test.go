package chisel

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"testing"
	"time"

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
