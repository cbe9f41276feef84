package chisel

import (
	"testing"
	"time"
)

// narrow is a path as a peer with much to send fills it: what is under way beyond what
// the path carries stands before it.
type narrow struct {
	rate    float64 // bytes a second
	base    time.Duration
	others  float64 // bytes of others that stand before it
	now     time.Time
	arrived float64
	kernel  float64 // the window that the kernel allows, by now
}

// pass lets time pass under a window, and tells what is seen then.
func (n *narrow) pass(held int) pathState {
	const most = 6 << 20
	if n.kernel == 0 {
		n.kernel = 64 << 10
	}
	window := min(n.kernel, most)
	if held > 0 {
		window = min(window, float64(held))
	}
	carried := n.rate * n.base.Seconds()
	stands := max(window+n.others-carried, 0)
	rtt := n.base.Seconds() + stands/n.rate
	rate := window / rtt
	n.now = n.now.Add(lookTime)
	n.arrived += rate * lookTime.Seconds()
	if held == 0 {
		n.kernel = min(n.kernel*1.5, most)
	} else {
		n.kernel = max(n.kernel, window)
	}
	return pathState{at: n.now, received: uint64(n.arrived), rtt: time.Duration(rtt * float64(time.Second)), base: n.base}
}

func (n *narrow) run(w *receiveWindow, looks int) (size int, seen pathState) {
	for range looks {
		seen = n.pass(size)
		size = w.look(seen)
	}
	return size, seen
}

func TestReceiveWindowIsHeldWhereThePathIsSlow(t *testing.T) {
	for _, c := range []struct {
		name        string
		rate        float64
		base        time.Duration
		least, most int
	}{
		{"5 MB/s over 2 ms", 5e6, 2 * time.Millisecond, leastWindow, 96 << 10},
		{"1 MB/s over 20 ms", 1e6, 20 * time.Millisecond, leastWindow, leastWindow},
		{"5 MB/s over 80 ms", 5e6, 80 * time.Millisecond, 800e3, 1000e3},
		{"12 MB/s over 10 ms", 12e6, 10 * time.Millisecond, 240e3, 480e3},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &narrow{rate: c.rate, base: c.base}
			var w receiveWindow
			size, seen := n.run(&w, 400)
			if size < c.least || size > c.most {
				t.Errorf("the window is %d, and should be %d to %d", size, c.least, c.most)
			}
			before := seen.received
			_, seen = n.run(&w, 40)
			if rate := float64(seen.received-before) / (40 * lookTime).Seconds(); rate < 0.98*c.rate {
				t.Errorf("%.0f bytes a second, of %.0f that the path carries", rate, c.rate)
			}
			if limit := max(2*c.base+2*spareTime, time.Duration(1.1*leastWindow/c.rate*float64(time.Second))); seen.rtt > limit {
				t.Errorf("a byte takes %v, over a path of %v", seen.rtt, c.base)
			}
		})
	}
}

func TestReceiveWindowIsTheKernelsWhereThePathIsFast(t *testing.T) {
	for _, c := range []struct {
		name string
		rate float64
		base time.Duration
	}{
		{"a machine of its own", 2e9, 30 * time.Microsecond},
		{"10 Gbit/s next door", 1.2e9, 300 * time.Microsecond},
		{"1 Gbit/s across an ocean", 120e6, 80 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := &narrow{rate: c.rate, base: c.base}
			var w receiveWindow
			if size, _ := n.run(&w, 400); size != 0 {
				t.Errorf("the window is held at %d", size)
			}
		})
	}
}

func TestReceiveWindowIsLetGoWhenThePathBecomesFast(t *testing.T) {
	n := &narrow{rate: 5e6, base: 2 * time.Millisecond}
	var w receiveWindow
	if size, _ := n.run(&w, 100); size == 0 {
		t.Fatal("the window is not held")
	}
	n.rate = 1e9
	if size, seen := n.run(&w, 20); size != 0 {
		t.Errorf("after half a second the window is still held at %d, for a rate of %.0f", size, seen.rateSince(pathState{}))
	}
}

func TestReceiveWindowFollowsAPathThatBecomesSlower(t *testing.T) {
	n := &narrow{rate: 12e6, base: 20 * time.Millisecond}
	var w receiveWindow
	before, _ := n.run(&w, 200)
	n.rate = 6e6
	after, seen := n.run(&w, 2000)
	if before == 0 || after == 0 || after > before*3/4 || seen.rtt > 3*n.base+spareTime {
		t.Errorf("from %d to %d, and a byte takes %v", before, after, seen.rtt)
	}
}

// While a window is held the kernel's buffer stays as it is.
func TestReceiveWindowCostsNoRateWhenThePathBecomesBetter(t *testing.T) {
	n := &narrow{rate: 1e6, base: 40 * time.Millisecond}
	var w receiveWindow
	if size, _ := n.run(&w, 100); size == 0 {
		t.Fatal("the window is not held")
	}
	n.rate = 20e6
	_, before := n.run(&w, 400)
	if _, after := n.run(&w, 40); after.rateSince(before) < 0.98*n.rate {
		t.Errorf("%.0f bytes a second, of %.0f that the path carries", after.rateSince(before), n.rate)
	}
}

// Where others fill the path, to hold our window would give it to them.
func TestReceiveWindowIsNotHeldInVain(t *testing.T) {
	n := &narrow{rate: 5e6, base: 2 * time.Millisecond, others: 1 << 20}
	var w receiveWindow
	held, changes := 0, 0
	size := 0
	const looks = 40_000 // a thousand seconds
	for range looks {
		was := size
		if size = w.look(n.pass(size)); size > 0 {
			held++
		}
		if was == 0 && size > 0 {
			changes++
		}
	}
	if changes == 0 || changes > 8 {
		t.Errorf("it was held %d times", changes)
	}
	if held > looks/100 {
		t.Errorf("it was held in %d of %d looks", held, looks)
	}
}

func TestReceiveWindowOutlivesAPause(t *testing.T) {
	n := &narrow{rate: 5e6, base: 2 * time.Millisecond}
	var w receiveWindow
	size, _ := n.run(&w, 100)
	if size == 0 {
		t.Fatal("the window is not held")
	}
	n.now = n.now.Add(time.Hour)
	if after := w.look(n.pass(size)); after != size {
		t.Errorf("after a pause it is %d, and was %d", after, size)
	}
}
