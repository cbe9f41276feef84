package chisel_test

import (
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit/path"
)

// BenchmarkRealThin measures an exchange of 100 bytes beside eight downloads through an
// unmodified client, over a path of 5 MB/s and 2 ms, with TCP from end to end: first with
// a queue of 64 KiB, then with a deep one. The server is chisel's, then ours. It makes
// network namespaces, which takes root.
func BenchmarkRealThin(b *testing.B) {
	for _, queue := range []struct {
		name string
		size int
	}{{"64KiB", 64 << 10}, {"2MiB", 2 << 20}} {
		for _, role := range []string{"server", "ours"} {
			b.Run(queue.name+"/"+role, func(b *testing.B) {
				thin(b, role, path.Way{Delay: time.Millisecond, Rate: 5 << 20 * 8, Queue: queue.size})
			})
		}
	}
}

func thin(b *testing.B, role string, way path.Way) {
	here, errHere := path.NewNamespace()
	there, errThere := path.NewNamespace()
	if err := errors.Join(errHere, errThere); err != nil {
		b.Fatal(err)
	}
	p, err := path.Open(here, there, path.Both(way))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(p.Close(), here.Close(), there.Close()); err != nil {
			b.Error(err)
		}
	})
	within := func(n *path.Namespace, f func()) {
		if err := n.Do(func() error { f(); return nil }); err != nil {
			b.Fatal(err)
		}
	}
	const port, bulkAt, smallAt = "7000", "127.0.0.1:7001", "127.0.0.1:7002"
	within(here, func() {
		chiselProcess(b, role, port, "", "", p.Near().String())
		_ = reach(b, "tcp", net.JoinHostPort(p.Near().String(), port)).Close()
	})
	within(there, func() {
		bulk, small := target(b, pour), target(b, echoAll)
		chiselProcess(b, "client", "http://"+net.JoinHostPort(p.Near().String(), port), "", "",
			"R:"+bulkAt+":127.0.0.1:"+bulk, "R:"+smallAt+":127.0.0.1:"+small)
	})
	var asking net.Conn
	var downloads []net.Conn
	within(here, func() {
		asking = reach(b, "tcp", smallAt)
		for range 8 {
			downloads = append(downloads, reach(b, "tcp", bulkAt))
		}
	})
	var moved atomic.Int64
	var open sync.WaitGroup
	for _, conn := range downloads {
		_ = conn.SetDeadline(time.Time{})
		open.Go(func() { _, _ = io.Copy(countingWriter{&moved}, conn) })
	}
	defer func() {
		for _, conn := range append(downloads, asking) {
			_ = conn.Close()
		}
		open.Wait()
	}()
	_ = asking.SetDeadline(time.Time{})
	ask := func() time.Duration {
		began := time.Now()
		buffer := make([]byte, 100)
		if _, err := asking.Write(buffer); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(asking, buffer); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	for moved.Load() < 20<<20 { // queues and windows have found their sizes
		ask()
	}
	began, before := time.Now(), moved.Load()
	var times []time.Duration
	for b.Loop() {
		times = append(times, ask())
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(moved.Load()-before)/time.Since(began).Seconds()/1e6, "bulk-MB/s")
}

type countingWriter struct{ n *atomic.Int64 }

func (w countingWriter) Write(b []byte) (int, error) {
	w.n.Add(int64(len(b)))
	return len(b), nil
}
