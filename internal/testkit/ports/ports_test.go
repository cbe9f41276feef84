package ports_test

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"github.com/postern-dev/postern/internal/testkit/ports"
)

// Nobody gets a port that somebody else has claimed, although nobody listens there.
func TestClaimsDoNotOverlap(t *testing.T) {
	var mu sync.Mutex
	var all []int
	var takers sync.WaitGroup
	for range 20 {
		takers.Go(func() {
			c, err := ports.Take(10)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(c.Release)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, c.All()...)
		})
	}
	takers.Wait()
	slices.Sort(all)
	if len(all) != 200 || len(slices.Compact(slices.Clone(all))) != 200 {
		t.Errorf("%d claims of ports: %v", len(all), all)
	}
}

// What somebody listens on is not given, whoever that is; what was given back is.
func TestPortsInUse(t *testing.T) {
	c, err := ports.Take(2)
	if err != nil {
		t.Fatal(err)
	}
	loopback := netip.MustParseAddr("127.0.0.1")
	datagrams, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, uint16(c.First+1))))
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	c.Release()
	if again, err := ports.TakeAt(c.First, 2); again != nil || err != nil {
		t.Errorf("a port in use was given: %v, %v", again, err)
	}
	again, err := ports.TakeAt(c.First, 1)
	if again == nil || err != nil {
		t.Fatalf("a port that was given back was not given: %v, %v", again, err)
	}
	again.Release()
}
