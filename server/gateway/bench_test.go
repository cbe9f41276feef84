package gateway_test

import (
	"io"
	"net"
	"runtime"
	"testing"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/gateway"
)

// quiet is a Config for benchmarks.
func quiet(_ *rows, c *gateway.Config) { c.Logger, c.Audit, c.Changed = nil, nil, nil }

// BenchmarkConnection is one connection of a consumer with eight bytes each way, all in
// memory: what the runtime and relay.Pipe cost.
func BenchmarkConnection(b *testing.B) {
	w := newWorld(b, quiet)
	w.connect("203.0.113.1:1000", "1", 8081)
	b.ReportAllocs()
	for b.Loop() {
		if err := w.echo(w.dial("127.64.0.1:8081")); err != nil {
			b.Fatal(err)
		}
	}
}

// stacks is what goroutines' stacks take.
func stacks() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.StackInuse
}

// BenchmarkIdleConnection reports what a connection takes that is open and silent, both
// ends of both pipes of the test included.
func BenchmarkIdleConnection(b *testing.B) {
	w := newWorld(b, quiet)
	c := w.connect("203.0.113.1:1000", "1")
	const most = 1000
	started := make(chan struct{}, most)
	c.target = func(conn net.Conn) {
		started <- struct{}{}
		_, _ = io.Copy(io.Discard, conn)
	}
	if _, err := c.bind(8081, ""); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		before, stack := heap(), stacks()
		conns := make([]*testkit.PipeConn, most)
		for i := range conns {
			conns[i] = w.dial("127.64.0.1:8081")
		}
		for range most {
			<-started
		}
		b.ReportMetric(float64(heap()-before)/most, "B/conn")
		b.ReportMetric(float64(stacks()-stack)/most, "stack-B/conn")
		for _, conn := range conns {
			_ = conn.Close()
		}
	}
}
