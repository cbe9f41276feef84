package testkit

import (
	"slices"
	"testing"
	"time"
)

// Latency measures how long single runs of a benchmark take, of which testing.B itself
// only tells the mean. It belongs to one goroutine.
type Latency struct {
	took []time.Duration
}

// Measure runs fn and keeps how long it took.
func (l *Latency) Measure(fn func()) {
	started := time.Now()
	fn()
	l.took = append(l.took, time.Since(started))
}

// Report adds the median and the 99th percentile to the benchmark's line, in
// microseconds.
func (l *Latency) Report(b *testing.B) {
	b.Helper()
	slices.Sort(l.took)
	for unit, share := range map[string]float64{"p50-µs": 0.5, "p99-µs": 0.99} {
		if n := len(l.took); n > 0 {
			at := l.took[min(n-1, int(share*float64(n)))]
			b.ReportMetric(float64(at.Nanoseconds())/1e3, unit)
		}
	}
}
