package flow_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/relay/flow"
)

// A stream that takes nothing costs its own datagrams, and those of nobody else.
func TestAStuckFlowDelaysNobody(t *testing.T) {
	bubble(t, flow.Config{}, func(t *testing.T, n *network, f *far, s *flow.Server) {
		f.stuck = true
		n.send(alice, "first")
		synctest.Wait()
		f.mu.Lock()
		f.stuck = false
		f.mu.Unlock()
		large := strings.Repeat("x", 8<<10)
		for range 200 {
			n.send(alice, large)
		}
		n.send(bob, "hello")
		synctest.Wait()
		if got := n.answers(); len(got) != 1 || got[0].text != "re: hello" {
			t.Errorf("bob was sent %v", got)
		}
		if lost := s.Counters().Dropped(flow.DropQueue); lost < 70 || lost > 140 {
			t.Errorf("%d datagrams of alice's 200 were dropped; her queue holds 63, and as many may be on their way", lost)
		}
		f.mu.Lock()
		go f.serve(alice, f.conns[alice], "first", true)
		f.mu.Unlock()
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		if kept := int64(len(f.came[alice]) - 1); kept+s.Counters().Dropped(flow.DropQueue) != 200 {
			t.Errorf("%d arrived and %d were dropped of 200", kept, s.Counters().Dropped(flow.DropQueue))
		}
	})
}

// All queues together are bounded.
func TestQueuesShareTheirMemory(t *testing.T) {
	bubble(t, flow.Config{Memory: 1 << 20}, func(t *testing.T, n *network, f *far, s *flow.Server) {
		f.stuck = true
		large := strings.Repeat("x", 32<<10)
		for range 100 {
			for i := range 20 {
				n.send(fmt.Sprintf("192.0.2.%d:1", i), large)
			}
		}
		synctest.Wait()
		c := s.Counters()
		if c.Dropped(flow.DropMemory) == 0 {
			t.Errorf("nothing was dropped for want of memory: %d for want of a place in a queue", c.Dropped(flow.DropQueue))
		}
		if kept := c.BytesIn.Load() - c.AllDropped()*int64(len(large)); kept > 3<<20 { // the first of each flow and what is being written are in no queue
			t.Errorf("%d bytes are kept", kept)
		}
	})
}

// A flood of made-up sources costs bounded memory and few streams, and who is served
// already goes on being served.
func TestFloodOfMadeUpSources(t *testing.T) {
	bubble(t, flow.Config{Flows: 500, Opening: 50}, func(t *testing.T, n *network, f *far, s *flow.Server) {
		n.send(alice, "before")
		synctest.Wait()
		f.mu.Lock()
		f.silent = true
		f.mu.Unlock()
		n.answers()
		for second := range 5 {
			for i := range 20_000 {
				n.send(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(second), byte(i >> 8), byte(i)}), 53).String(), "made up")
			}
			n.send(alice, "during")
			synctest.Wait()
			if s.Flows() > 500 {
				t.Fatalf("%d flows", s.Flows())
			}
			time.Sleep(time.Second)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.opened) > 6*500 {
			t.Errorf("%d streams were opened for 100,000 sources in five seconds", len(f.opened))
		}
		if got := len(f.came[alice]); got != 6 {
			t.Errorf("%d of alice's 6 datagrams arrived", got)
		}
	})
}

// Streams that take long to open are bounded in number.
func TestOpeningIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		s := flow.NewServer(n, flow.Config{Opening: 3, Open: func(ctx context.Context, _ netip.AddrPort, _ []byte) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- s.Serve(ctx) }()
		for i := range 10 {
			n.send(fmt.Sprintf("192.0.2.%d:1", i), "x")
		}
		synctest.Wait()
		if s.Flows() != 3 || s.Counters().Dropped(flow.DropOpening) != 7 {
			t.Errorf("%d flows, %d datagrams dropped", s.Flows(), s.Counters().Dropped(flow.DropOpening))
		}
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
	})
}

// End takes the flows down that match. A retired Server receives nothing, and its flows
// may answer until their grace is over.
func TestEndAndRetire(t *testing.T) {
	bubble(t, flow.Config{}, func(t *testing.T, n *network, f *far, s *flow.Server) {
		n.send(alice, "a")
		n.send(bob, "b")
		synctest.Wait()
		n.answers()
		s.End(func(source netip.AddrPort, stream net.Conn) bool { return stream != nil && source.String() == bob })
		if s.Flows() != 1 || f.end(bob) != flow.Closed {
			t.Fatalf("%d flows", s.Flows())
		}
		s.Retire(10 * time.Second)
		synctest.Wait()
		n.send(alice, "not read")
		f.mu.Lock()
		conn := f.conns[alice]
		f.mu.Unlock()
		if _, err := flow.NewWriter(conn).Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := n.answers(); len(got) != 1 || got[0].text != "last words" || len(n.in) != 1 {
			t.Errorf("answers %v, %d datagrams are left", got, len(n.in))
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if s.Flows() != 0 {
			t.Error("the grace has no end")
		}
	})
}

// quietStream is a stream of which nothing comes until it is closed.
type quietStream struct {
	net.Conn
	closed chan struct{}
}

func (q *quietStream) Read([]byte) (int, error)    { <-q.closed; return 0, net.ErrClosed }
func (q *quietStream) Write(b []byte) (int, error) { return len(b), nil }
func (q *quietStream) Close() error                { close(q.closed); return nil }

// An idle flow costs well under 4 KiB beside its stream.
func TestIdleFlowsAreSmall(t *testing.T) {
	const flows = 4000
	n := newNetwork()
	s := flow.NewServer(n, flow.Config{FlowsPerSource: flows, Opening: flows, Open: func(context.Context, netip.AddrPort, []byte) (net.Conn, error) {
		return &quietStream{closed: make(chan struct{})}, nil
	}})
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	before := used()
	go func() { over <- s.Serve(ctx) }()
	for i := range flows {
		n.send(fmt.Sprintf("192.0.2.1:%d", i+1), "a datagram that opens a flow")
	}
	for s.Counters().Opened.Load() < flows {
		runtime.Gosched()
	}
	each := (used() - before) / flows
	t.Logf("%d bytes for each of %d idle flows", each, flows)
	if each > mostOfIdle {
		t.Errorf("an idle flow costs %d bytes", each)
	}
	cancel()
	if err := <-over; err != nil {
		t.Error(err)
	}
}

// used is the memory of the heap and of stacks.
func used() int64 {
	var m runtime.MemStats
	for range 3 { // the second collection empties the pools, the third shrinks stacks
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse) //nolint:gosec // far below
}
