package flow_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/relay/flow"
)

// sent is a datagram and who sent it, or is sent it.
type sent struct {
	peer netip.AddrPort
	text string
}

// network is a UDP socket in memory, for time that is virtual.
type network struct {
	net.PacketConn // nil: what is not below is not called
	in             chan sent
	closed         chan struct{}
	closing        sync.Once

	mu  sync.Mutex
	out []sent
}

func newNetwork() *network {
	return &network{in: make(chan sent, 1<<18), closed: make(chan struct{})}
}

func (n *network) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case d := <-n.in:
		return copy(b, d.text), net.UDPAddrFromAddrPort(d.peer), nil
	case <-n.closed:
		return 0, nil, os.ErrDeadlineExceeded
	}
}

func (n *network) WriteTo(b []byte, to net.Addr) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.out = append(n.out, sent{to.(*net.UDPAddr).AddrPort(), string(b)})
	return len(b), nil
}

// SetReadDeadline is called with a time that has passed.
func (n *network) SetReadDeadline(time.Time) error {
	n.closing.Do(func() { close(n.closed) })
	return nil
}

func (n *network) send(from, text string) { n.in <- sent{netip.MustParseAddrPort(from), text} }

// answers takes what was sent out so far.
func (n *network) answers() []sent {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := n.out
	n.out = nil
	return out
}

// far is the other end of flows: it notes what they bring, and may answer.
type far struct {
	mu     sync.Mutex
	opened []string            // sources, in order
	came   map[string][]string // datagrams by source, the first included
	ends   map[string]flow.End
	conns  map[string]net.Conn // the far ends
	refuse error
	stuck  bool // nobody reads
	silent bool // nobody answers
}

func newFar() *far {
	return &far{came: map[string][]string{}, ends: map[string]flow.End{}, conns: map[string]net.Conn{}}
}

func (f *far) open(_ context.Context, source netip.AddrPort, first []byte) (net.Conn, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	name := source.String()
	f.opened = append(f.opened, name)
	if f.refuse != nil {
		return nil, f.refuse
	}
	p, _, ok, err := flow.Cut(first)
	if !ok || err != nil {
		return nil, errors.New("the first datagram is not whole")
	}
	f.came[name] = append(f.came[name], string(p))
	near, there := net.Pipe()
	f.conns[name] = there
	if !f.stuck {
		go f.serve(name, there, string(p), f.silent)
	}
	return near, nil
}

func (f *far) serve(name string, conn net.Conn, first string, silent bool) {
	reader, writer := flow.NewReader(conn), flow.NewWriter(conn)
	for p := first; ; {
		if !silent {
			if _, err := writer.Write([]byte("re: " + p)); err != nil {
				return
			}
		}
		next, err := reader.Next()
		if err != nil {
			_ = conn.Close()
			return
		}
		p = string(next)
		f.mu.Lock()
		f.came[name] = append(f.came[name], p)
		f.mu.Unlock()
	}
}

func (f *far) ended(source netip.AddrPort, _ net.Conn, r flow.Result) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, twice := f.ends[source.String()]; twice {
		panic("the end of " + source.String() + " was told twice")
	}
	f.ends[source.String()] = r.Why
}

// forget makes room for another life of a source.
func (f *far) end(source string) flow.End {
	f.mu.Lock()
	defer f.mu.Unlock()
	why := f.ends[source]
	delete(f.ends, source)
	return why
}

func (f *far) opens() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.opened)
}

// bubble runs a Server in virtual time.
func bubble(t *testing.T, c flow.Config, test func(t *testing.T, n *network, f *far, s *flow.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n, f := newNetwork(), newFar()
		c.Open, c.Ended, c.Counters = f.open, f.ended, nil
		s := flow.NewServer(n, c)
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- s.Serve(ctx) }()
		test(t, n, f, s)
		cancel()
		if err := <-over; err != nil {
			t.Error(err)
		}
		if s.Flows() != 0 || s.Counters().Open.Load() != 0 {
			t.Errorf("%d flows left, %d counted as open", s.Flows(), s.Counters().Open.Load())
		}
	})
}

const (
	alice = "192.0.2.1:1000"
	bob   = "192.0.2.2:2000"
)

// A flow ends when nothing has moved for Idle, in either direction, and not before. The
// next datagram begins another one.
func TestIdleFlowsEnd(t *testing.T) {
	bubble(t, flow.Config{}, func(t *testing.T, n *network, f *far, s *flow.Server) {
		n.send(alice, "a")
		n.send(bob, "b")
		synctest.Wait()
		if got := n.answers(); len(got) != 2 {
			t.Fatalf("answers: %v", got)
		}
		time.Sleep(50 * time.Second)
		n.send(alice, "c") // alice goes on, bob does not
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if s.Flows() != 1 || f.end(bob) != flow.Idle || s.Counters().Expired.Load() != 1 {
			t.Fatalf("%d flows after bob's minute; his ended as %q", s.Flows(), f.end(bob))
		}
		f.mu.Lock()
		conn := f.conns[netip.MustParseAddrPort(alice).String()]
		f.mu.Unlock()
		time.Sleep(40 * time.Second)
		if _, err := flow.NewWriter(conn).Write([]byte("an answer late, and alone")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(58 * time.Second)
		synctest.Wait()
		if s.Flows() != 1 {
			t.Fatal("a flow ended although an answer went out within its minute")
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if s.Flows() != 0 || f.end(alice) != flow.Idle {
			t.Fatalf("%d flows are left", s.Flows())
		}
		n.send(alice, "again")
		synctest.Wait()
		if f.opens() != 3 || s.Counters().AllDropped() != 0 {
			t.Errorf("%d flows in all, %d datagrams dropped", f.opens(), s.Counters().AllDropped())
		}
	})
}

// Answers go to the source of the flow and to nobody else.
func TestAnswersGoToTheirSource(t *testing.T) {
	bubble(t, flow.Config{}, func(t *testing.T, n *network, _ *far, s *flow.Server) {
		for i := range 200 {
			n.send(fmt.Sprintf("198.51.100.%d:%d", i, 1000+i), fmt.Sprint(i))
		}
		synctest.Wait()
		got := n.answers()
		for _, d := range got {
			i := int(d.peer.Port()) - 1000
			if want := fmt.Sprintf("re: %d", i); d.text != want || d.peer.Addr().As4()[3] != byte(i) {
				t.Errorf("%s was sent %q, not %q", d.peer, d.text, want)
			}
		}
		if len(got) != 200 || s.Counters().Opened.Load() != 200 {
			t.Errorf("%d answers of %d flows", len(got), s.Counters().Opened.Load())
		}
	})
}

// When there are as many flows as there may be, one without an answer makes room that has
// rested, and one that is in use does not.
func TestTheOldestUnansweredFlowMakesRoom(t *testing.T) {
	bubble(t, flow.Config{Flows: 3}, func(t *testing.T, n *network, f *far, s *flow.Server) {
		n.send(alice, "answered")
		synctest.Wait()
		f.mu.Lock()
		f.silent = true
		f.mu.Unlock()
		time.Sleep(time.Second)
		n.send("203.0.113.1:1", "unanswered")
		time.Sleep(500 * time.Millisecond)
		n.send("203.0.113.2:1", "unanswered, too")
		n.send("203.0.113.3:1", "too early: nobody has rested")
		synctest.Wait()
		if s.Flows() != 3 || s.Counters().Dropped(flow.DropFlows) != 1 {
			t.Fatalf("%d flows, %d datagrams dropped", s.Flows(), s.Counters().Dropped(flow.DropFlows))
		}
		time.Sleep(600 * time.Millisecond)
		n.send("203.0.113.4:1", "in time")
		synctest.Wait()
		if f.end("203.0.113.1:1") != flow.Evicted || s.Flows() != 3 || f.end(alice) != "" {
			t.Errorf("it was not the oldest unanswered flow that made room: %v", f.ends)
		}
		for i := range 20 { // only answered ones are left, or ones in use
			n.send("203.0.113.2:1", "used")
			n.send("203.0.113.4:1", "used")
			n.send(fmt.Sprintf("203.0.113.5:%d", i+1), "too many")
			time.Sleep(500 * time.Millisecond)
		}
		synctest.Wait()
		if f.end(alice) != flow.Evicted {
			t.Error("an answered flow that had rested for ten seconds did not make room")
		}
	})
}

// An address has a cap of its own; a /64 of IPv6 is one address.
func TestFlowsPerSource(t *testing.T) {
	bubble(t, flow.Config{FlowsPerSource: 2}, func(t *testing.T, n *network, f *far, s *flow.Server) {
		for i := range 5 {
			n.send(fmt.Sprintf("192.0.2.1:%d", i+1), "x")
			n.send(fmt.Sprintf("[2001:db8::%x]:7", i+1), "x")
			n.send(fmt.Sprintf("[2001:db8:0:%x::1]:7", i+1), "x")
		}
		synctest.Wait()
		if s.Flows() != 2+2+5 || s.Counters().Dropped(flow.DropSource) != 3+3 {
			t.Fatalf("%d flows, %d datagrams dropped", s.Flows(), s.Counters().Dropped(flow.DropSource))
		}
		time.Sleep(1100 * time.Millisecond)
		n.send("192.0.2.1:9", "after a rest")
		synctest.Wait()
		if f.end("192.0.2.1:1") != flow.Evicted && f.end("192.0.2.1:2") != flow.Evicted || s.Flows() != 9 || s.Counters().Dropped(flow.DropSource) != 6 {
			t.Errorf("no flow of the address made room: %v", f.ends)
		}
	})
}

// What cannot be opened is not tried again for every datagram.
func TestRefusedSourcesAreNotHeardForAWhile(t *testing.T) {
	bubble(t, flow.Config{}, func(t *testing.T, n *network, f *far, s *flow.Server) {
		f.refuse = errors.New("nobody is there")
		for range 100 {
			n.send(alice, "x")
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if f.opens() != 1 || s.Counters().Refused.Load() != 1 || s.Counters().Dropped(flow.DropRefused) != 99 || s.Counters().Open.Load() != 0 {
			t.Fatalf("%d attempts, %d refusals, %d datagrams dropped", f.opens(), s.Counters().Refused.Load(), s.Counters().Dropped(flow.DropRefused))
		}
		f.mu.Lock()
		f.refuse = nil
		f.mu.Unlock()
		time.Sleep(time.Second)
		n.send(alice, "now")
		synctest.Wait()
		if got := n.answers(); len(got) != 1 || got[0].text != "re: now" {
			t.Errorf("answers: %v", got)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s.Flows() != 0 {
			t.Error("a place is kept for ever")
		}
	})
}

// A stream that ends as soon as it was opened counts as refused; one that ends later is
// opened again with the next datagram.
func TestEndedStreamsAreOpenedAgain(t *testing.T) {
	bubble(t, flow.Config{}, func(t *testing.T, n *network, f *far, s *flow.Server) {
		n.send(alice, "1")
		synctest.Wait()
		hangUp := func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			_ = f.conns[alice].Close()
		}
		hangUp()
		synctest.Wait()
		if why := f.end(alice); why != flow.Done || s.Flows() != 0 {
			t.Fatalf("an answered flow ended as %q, %d are left", why, s.Flows())
		}
		f.mu.Lock()
		f.silent = true
		f.mu.Unlock()
		n.send(alice, "2")
		synctest.Wait()
		hangUp()
		synctest.Wait()
		n.send(alice, "too early")
		synctest.Wait()
		if f.end(alice) == "" || f.opens() != 2 || s.Counters().Dropped(flow.DropRefused) != 1 {
			t.Fatalf("%d attempts", f.opens())
		}
		time.Sleep(1001 * time.Millisecond)
		n.send(alice, "3")
		synctest.Wait()
		if f.opens() != 3 {
			t.Errorf("%d attempts", f.opens())
		}
	})
}
