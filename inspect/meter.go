package inspect

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// The durations that a Meter tells apart, with two digits. What is longer counts as
	// the longest.
	shortest = int64(time.Microsecond)
	longest  = int64(24 * time.Hour)
	digits   = 2
)

// Meter counts and times what happens at an endpoint: connections, or requests. The
// zero value is ready. It costs next to nothing until the first End.
type Meter struct {
	mu        sync.Mutex
	count     int64
	open      int64
	rates     rates
	durations *hdrhistogram.Histogram
}

// Numbers are what a Meter tells. Rates are a second; percentiles are in nanoseconds,
// of all that have ended.
type Numbers struct {
	Count, Gauge         int64
	Rate1, Rate5, Rate15 float64
	P50, P90, P95, P99   float64
}

// Begin notes that one has begun.
func (m *Meter) Begin(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	m.open++
	m.rates.add(now)
}

// End notes that one that has begun is over, and how long it took.
func (m *Meter) End(took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = max(0, m.open-1) // one of an endpoint that was forgotten began elsewhere
	if m.durations == nil {
		m.durations = hdrhistogram.New(shortest, longest, digits)
	}
	_ = m.durations.RecordValue(min(max(int64(took), shortest), longest)) // within the bounds
}

// Numbers gives them as they are now.
func (m *Meter) Numbers(now time.Time) Numbers {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rates.catchUp(now)
	n := Numbers{
		Count: m.count, Gauge: m.open,
		Rate1: m.rates.perSec[0], Rate5: m.rates.perSec[1], Rate15: m.rates.perSec[2],
	}
	if m.durations != nil {
		at := func(percentile float64) float64 { return float64(m.durations.ValueAtQuantile(percentile)) }
		n.P50, n.P90, n.P95, n.P99 = at(50), at(90), at(95), at(99)
	}
	return n
}

// Meters are those of one endpoint. Connections are for whoever relays them to note,
// requests are noted by the Recorder.
type Meters struct {
	Connections, Requests Meter
}
