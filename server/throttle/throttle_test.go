package throttle_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/throttle"
)

func TestThrottle(t *testing.T) {
	now := time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	th := throttle.New(func() time.Time { return now })
	here, neighbour, elsewhere := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("192.0.2.1")
	const right, wrong = postern.Secret("right"), postern.Secret("wrong")
	th.Succeeded(right)
	for range 3 {
		if wait := th.Admits(here, wrong, 3); wait != 0 {
			t.Fatalf("too early: %v", wait)
		}
		th.Failed(here, wrong, 3)
	}
	for _, c := range []struct {
		who    string
		from   netip.Addr
		secret postern.Secret
		want   time.Duration
	}{
		{"the address", here, wrong, 20 * time.Second},
		{"another secret from it", here, "other", 20 * time.Second},
		{"its /64", neighbour, "other", 20 * time.Second},
		{"what was right lately", here, right, 0},
		{"elsewhere", elsewhere, wrong, 0},
	} {
		if wait := th.Admits(c.from, c.secret, 3); wait != c.want {
			t.Errorf("%s waits %v, want %v", c.who, wait, c.want)
		}
	}
	now = now.Add(20 * time.Second)
	if wait := th.Admits(here, wrong, 3); wait != 0 {
		t.Errorf("after a while: %v", wait)
	}
	// One wrong secret is tried ten times a minute, from wherever.
	for i := range 10 {
		th.Failed(netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i)), "guess", 1000)
	}
	if wait := th.Admits(elsewhere, "guess", 1000); wait == 0 {
		t.Error("one secret may be tried for ever")
	}
}
