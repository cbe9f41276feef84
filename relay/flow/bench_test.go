package flow_test

import (
	"io"
	"testing"
	"time"

	"github.com/postern-dev/postern/relay/flow"
)

// endless gives one datagram after the other.
type endless struct {
	frames []byte
	at     int
}

func newEndless() *endless {
	e := &endless{}
	for range 100 {
		e.frames = flow.Append(e.frames, payload(200))
	}
	return e
}

func (e *endless) Read(b []byte) (int, error) {
	n := copy(b, e.frames[e.at:])
	e.at = (e.at + n) % len(e.frames)
	return n, nil
}

func BenchmarkReader(b *testing.B) {
	r := flow.NewReader(newEndless())
	b.SetBytes(200)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriter(b *testing.B) {
	w := flow.NewWriter(io.Discard)
	p := payload(200)
	b.SetBytes(200)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Queue(p); err != nil {
			b.Fatal(err)
		}
	}
}

// Neither direction of the framing allocates for a datagram.
func TestFramingAllocatesNothing(t *testing.T) {
	r, w, p := flow.NewReader(newEndless()), flow.NewWriter(io.Discard), payload(200)
	for range 1000 { // buffers come into the pools
		_, _ = r.Next()
		_ = w.Queue(p)
	}
	if n := testing.AllocsPerRun(10_000, func() {
		_, _ = r.Next()
		_ = w.Queue(p)
	}); n >= 1 { // a collection that empties the pools may cost a little in all
		t.Errorf("%v allocations for a datagram", n)
	}
}

// BenchmarkOneWay is a datagram's way through a Server, a stream in memory and a Relay to
// a service, over real sockets; what is lost is reported.
func BenchmarkOneWay(b *testing.B) {
	service := loopback(b, "127.0.0.1:0")
	_ = service.SetReadBuffer(4 << 20)
	conn := loopback(b, "127.0.0.1:0")
	serve(b, conn, flow.Config{Open: relayed(b, service.LocalAddr().String(), nil)})
	visitor := dial(b, conn.LocalAddr().String())
	_ = visitor.SetDeadline(time.Time{})
	arrived := make(chan int, 1)
	go func() {
		buffer, n := make([]byte, 2048), 0
		for {
			if _, _, err := service.ReadFromUDPAddrPort(buffer); err != nil {
				arrived <- n
				return
			}
			n++
		}
	}()
	p := payload(200)
	b.SetBytes(200)
	b.ReportAllocs()
	sent := 0
	for b.Loop() {
		if _, err := visitor.Write(p); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	_ = service.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	b.ReportMetric(float64(sent-<-arrived)/float64(sent), "lost/op")
}

// BenchmarkPingPong is one visitor who waits for each answer.
func BenchmarkPingPong(b *testing.B) {
	service := loopback(b, "127.0.0.1:0")
	go echo(service)
	conn := loopback(b, "127.0.0.1:0")
	serve(b, conn, flow.Config{Open: relayed(b, service.LocalAddr().String(), nil)})
	visitor := dial(b, conn.LocalAddr().String())
	_ = visitor.SetDeadline(time.Time{})
	p, buffer := payload(64), make([]byte, 2048)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := visitor.Write(p); err != nil {
			b.Fatal(err)
		}
		if _, err := visitor.Read(buffer); err != nil {
			b.Fatal(err)
		}
	}
}
