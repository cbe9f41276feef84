package routebuild_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/routebuild"
)

// online makes n endpoints of one session, every tenth a wildcard's, and takes them
// away when the benchmark is over.
func online(b *testing.B, n int) *cluster.Local {
	b.Helper()
	l, s := cluster.New(), &session{done: make(chan struct{})}
	for i := range n {
		host := postern.Hostname(fmt.Sprintf("n%d.customers.example", i))
		if i%10 == 0 {
			host = "*." + host
		}
		e := postern.Endpoint{ID: postern.EndpointID(fmt.Sprint(i)), URL: postern.URL{Scheme: postern.HTTPS, Host: host}}
		if _, err := l.Register(cluster.Live{Endpoint: e, Session: s}); err != nil {
			b.Fatal(err)
		}
	}
	b.Cleanup(func() {
		close(s.done)
		for changed := l.Changed(); len(l.Endpoints()) > 0; changed = l.Changed() {
			<-changed
		}
	})
	return l
}

// BenchmarkRebuild makes the table of 100,000 endpoints anew, as each change of who is
// online does; docs/performance.md has figures. kept-B/route is what stays while the
// table is in force, of which B/op is the most that there is beside the old one.
func BenchmarkRebuild(b *testing.B) {
	const routes = 100_000
	build, current := builder(b, online(b, routes), nil)
	before := heap()
	rebuild(b, build)
	kept := heap() - before
	b.ReportAllocs()
	for b.Loop() {
		rebuild(b, build)
	}
	b.ReportMetric(float64(kept)/routes, "kept-B/route")
	if n := current.Load().Len(); n != routes {
		b.Fatalf("%d routes", n)
	}
}

func rebuild(b *testing.B, build *routebuild.Builder) {
	b.Helper()
	if err := build.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// heap is how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one's finalizers let go of
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
