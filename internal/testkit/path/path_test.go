//go:build linux

package path_test

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/path"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// listenFar opens a TCP listener at the far end.
func listenFar(t *testing.T, p *path.Path, far *path.Namespace) net.Listener {
	t.Helper()
	var listener net.Listener
	if err := far.Do(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(p.Far(), 0).String())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// datagrams opens a UDP socket at each end, connected with each other.
func datagrams(t *testing.T, p *path.Path, far *path.Namespace) (near, there *net.UDPConn) {
	t.Helper()
	const port = 9000
	here, other := net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.Near(), port)), net.UDPAddrFromAddrPort(netip.AddrPortFrom(p.Far(), port))
	near, err := net.DialUDP("udp", here, other)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if err := far.Do(func() (err error) {
		there, err = net.DialUDP("udp", other, here)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { there.Close() })
	return near, there
}

func TestRoundTripTakesBothDelays(t *testing.T) {
	t.Parallel()
	if !path.Isolate(t) {
		return
	}
	p, far := path.Between(t, path.Config{Away: path.Way{Delay: 30 * time.Millisecond}, Back: path.Way{Delay: 10 * time.Millisecond}})
	near, there := datagrams(t, p, far)
	go func() {
		for buffer := make([]byte, 100); ; {
			n, err := there.Read(buffer)
			if err != nil {
				return
			}
			there.Write(buffer[:n])
		}
	}()
	const want = 40 * time.Millisecond
	best := time.Hour
	for range 20 {
		started := time.Now()
		near.Write([]byte("ping"))
		if _, err := near.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		took := time.Since(started)
		if took < want-time.Millisecond {
			t.Errorf("a round trip took %v, less than its delays", took)
		}
		best = min(best, took)
	}
	if best > want+5*time.Millisecond {
		t.Errorf("the best of 20 round trips took %v, want %v", best, want)
	}
	t.Logf("best round trip: %v", best)
}

// bulk sends n bytes from the far end by TCP and returns how long they took from
// the first byte's arrival.
func bulk(t *testing.T, p *path.Path, far *path.Namespace, n int64) time.Duration {
	t.Helper()
	listener := listenFar(t, p, far)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.CopyN(conn, zeros{}, n) //nolint:errcheck // the other end counts
	}()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	started := time.Now()
	got, err := io.Copy(io.Discard, conn)
	if err != nil || got != n-1 {
		t.Fatalf("%d bytes of %d arrived: %v", got+1, n, err)
	}
	return time.Since(started)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestTCPFillsTheRateAndNoMore(t *testing.T) {
	t.Parallel()
	if !path.Isolate(t) {
		return
	}
	const rate, size = 20_000_000, 6 << 20
	p, far := path.Between(t, path.Both(path.Way{Delay: 5 * time.Millisecond, Rate: rate, Queue: 128 << 10}))
	took := bulk(t, p, far, size)
	share := float64(size) * 8 / took.Seconds() / rate
	// Headers take 4 %, and cubic leaves a little where it backs off.
	if share > 0.99 || share < 0.6 {
		t.Errorf("TCP got %.2f of the rate", share)
	}
	t.Logf("TCP got %.2f of %d Mbit/s", share, rate/1_000_000)
}

func TestLossIsAShareOfPackets(t *testing.T) {
	t.Parallel()
	if !path.Isolate(t) {
		return
	}
	p, far := path.Between(t, path.Config{Away: path.Way{Loss: 0.02}, Seed: 7})
	near, _ := datagrams(t, p, far)
	const sent = 10000
	for i := range sent {
		near.Write([]byte{1})
		if i%100 == 99 {
			await(t, func() bool { return packets(p) >= int64(i+1) })
		}
	}
	away, _ := p.Counts()
	if away.Lost < sent*15/1000 || away.Lost > sent*25/1000 {
		t.Errorf("%d of %d packets were lost, want about %d", away.Lost, sent, sent/50)
	}
}

func packets(p *path.Path) int64 {
	away, _ := p.Counts()
	return away.Carried + away.Lost + away.Overflowed + away.Darkened
}

// await asks until done says yes.
func await(t *testing.T, done func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(10 * time.Second); !done(); {
		select {
		case <-deadline:
			t.Fatal("not within ten seconds")
		case <-tick.C:
		}
	}
}

func TestQueueOverflows(t *testing.T) {
	t.Parallel()
	if !path.Isolate(t) {
		return
	}
	p, far := path.Between(t, path.Both(path.Way{Rate: 1_000_000, Queue: 32 << 10}))
	near, _ := datagrams(t, p, far)
	const sent, size = 100, 1000 + 28 // with IP's and UDP's headers
	started := time.Now()
	for range sent {
		near.Write(make([]byte, size-28))
	}
	burst := time.Since(started)
	await(t, func() bool { return packets(p) == sent })
	away, _ := p.Counts()
	fits := int64(32<<10) / size
	more := int64(burst.Seconds()*1_000_000/8)/size + 2
	if away.Carried < fits || away.Carried > fits+more {
		t.Errorf("%d packets of a burst were carried, want %d to %d", away.Carried, fits, fits+more)
	}
	if took, want := time.Since(started), time.Duration(away.Carried-1)*size*8*time.Microsecond; took < want {
		t.Errorf("the burst took %v at a rate that needs %v", took, want)
	}
}

func TestDarkPathLosesAll(t *testing.T) {
	t.Parallel()
	if !path.Isolate(t) {
		return
	}
	p, far := path.Between(t, path.Both(path.Way{Delay: 20 * time.Millisecond}))
	near, there := datagrams(t, p, far)
	near.Write([]byte("lost on the way"))
	p.Dark(true)
	near.Write([]byte("lost at once"))
	await(t, func() bool { return packets(p) == 2 })
	p.Dark(false)
	near.Write([]byte("carried"))
	buffer := make([]byte, 100)
	n, err := there.Read(buffer)
	if err != nil || string(buffer[:n]) != "carried" {
		t.Fatalf("%q, %v", buffer[:n], err)
	}
}

// The machine's own limit must be far above every rate that tests ask for.
func BenchmarkUnlimited(b *testing.B) {
	here, err := path.NewNamespace()
	if err != nil {
		b.Fatal(err)
	}
	defer here.Close()
	far, err := path.NewNamespace()
	if err != nil {
		b.Fatal(err)
	}
	defer far.Close()
	p, err := path.Open(here, far, path.Both(path.Way{Delay: 10 * time.Millisecond, Rate: 1_000_000_000, Queue: 4 << 20}))
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	var near, there net.Conn
	var listener net.Listener
	if err := far.Do(func() (err error) {
		listener, err = net.Listen("tcp", netip.AddrPortFrom(p.Far(), 0).String())
		return err
	}); err != nil {
		b.Fatal(err)
	}
	defer listener.Close()
	if err := here.Do(func() (err error) {
		near, err = net.Dial("tcp", listener.Addr().String())
		return err
	}); err != nil {
		b.Fatal(err)
	}
	defer near.Close()
	if there, err = listener.Accept(); err != nil {
		b.Fatal(err)
	}
	defer there.Close()
	go func() {
		io.Copy(there, zeros{}) //nolint:errcheck // ends with the connection
	}()
	buffer := make([]byte, 1<<20)
	b.SetBytes(1 << 20)
	for b.Loop() {
		if _, err := io.ReadFull(near, buffer); err != nil {
			b.Fatal(err)
		}
	}
}
