package dns

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	l := newLimit()
	judge := func(from, cost string, at time.Duration) verdict {
		return l.judge(netip.MustParseAddr(from), cost, 1, 10, at)
	}
	for n := range 20 { // two seconds' worth at once
		if got := judge(fmt.Sprintf("192.0.2.%d", n), "name", 0); got != send {
			t.Fatalf("answer %d of a network: %v", n, got)
		}
	}
	counts := map[verdict]int{}
	for range 10 {
		counts[judge("192.0.2.200", "name", 0)]++
	}
	if counts[send] != 0 || counts[slip] != 5 || counts[drop] != 5 {
		t.Errorf("above the limit: %v", counts)
	}
	for what, got := range map[string]verdict{
		"another name": judge("192.0.2.1", "other", 0), "another network": judge("192.0.3.1", "name", 0),
		"IPv6": judge("2001:db8::1", "name", 0), "mapped": judge("::ffff:192.0.3.1", "name", 0), "no address": l.judge(netip.Addr{}, "name", 1, 10, 0),
		"another type": l.judge(netip.MustParseAddr("192.0.2.1"), "name", 2, 10, 0),
	} {
		if got != send {
			t.Errorf("%s: %v", what, got)
		}
	}
	for n := range 10 {
		if got := judge("192.0.2.1", "name", time.Second); got != send {
			t.Errorf("answer %d a second later: %v", n, got)
		}
	}
	if got := judge("192.0.2.1", "name", time.Second); got == send {
		t.Error("more than the limit, a second later")
	}
	if got := l.judge(netip.MustParseAddr("192.0.2.1"), "name", 1, 0, time.Second); got != send {
		t.Errorf("without a limit: %v", got)
	}
}

// A network of IPv6 is the /56 that one customer gets.
func TestNetworks(t *testing.T) {
	for _, one := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.255", true},
		{"192.0.2.1", "192.0.3.1", false},
		{"::ffff:192.0.2.1", "192.0.2.7", true},
		{"2001:db8:0:1::1", "2001:db8:0:ff::1", true},
		{"2001:db8:0:1::1", "2001:db8:0:100::1", false},
		{"fe80::1%eth0", "fe80::1", true},
	} {
		if same := network(netip.MustParseAddr(one.a)) == network(netip.MustParseAddr(one.b)); same != one.same {
			t.Errorf("%s and %s: %v", one.a, one.b, same)
		}
	}
}
