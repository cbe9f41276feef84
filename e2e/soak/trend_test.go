package soak_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

// trend says how a measure moved while the load was steady.
type trend struct {
	first, last float64 // medians of the first and the last quarter
	most        float64
	slope       float64 // a least-squares line's, per hour
	allowed     float64 // last may exceed first by this
}

func (t trend) grows() bool { return t.last-t.first > t.allowed }

// growthAllowed is the share of the level by which a measure may rise from the first
// quarter of a run to the last, besides noise.
const growthAllowed = 0.05

// trendOf leaves the first tenth out, in which pools, windows and caches fill. The
// noise of a quarter's median is estimated from the samples' own spread.
func trendOf(samples []sample, m measure) trend {
	steady := samples[len(samples)/10:]
	values := make([]float64, len(steady))
	for i, s := range steady {
		values[i] = m.of(s.Holding)
	}
	quarter := max(1, len(values)/4)
	first, last := values[:quarter], values[len(values)-quarter:]
	t := trend{first: median(first), last: median(last), most: slices.Max(values), slope: slope(steady, values)}
	noise := 3 * 1.25 * math.Hypot(spread(first), spread(last)) / math.Sqrt(float64(quarter))
	t.allowed = growthAllowed*t.first + max(m.slack, noise)
	return t
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread is the standard deviation as the median absolute deviation tells it, so
// that a few outliers do not excuse growth.
func spread(values []float64) float64 {
	centre := median(values)
	away := make([]float64, len(values))
	for i, v := range values {
		away[i] = math.Abs(v - centre)
	}
	return 1.4826 * median(away)
}

func slope(samples []sample, values []float64) float64 {
	var sumX, sumY, sumXX, sumXY float64
	for i, s := range samples {
		x, y := s.at.Hours(), values[i]
		sumX, sumY, sumXX, sumXY = sumX+x, sumY+y, sumXX+x*x, sumXY+x*y
	}
	n := float64(len(values))
	if d := n*sumXX - sumX*sumX; d > 0 {
		return (n*sumXY - sumX*sumY) / d
	}
	return 0
}

// verdict is the table of all trends, and a line for each that grows.
func (r *record) verdict() (table string, grown []string) {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %-13s %10s %10s %10s %12s %10s\n", "process", "held", "first 1/4", "last 1/4", "most", "slope/hour", "allowed +")
	for _, a := range r.watched {
		for _, m := range measures() {
			t := trendOf(r.samples[a.name], m)
			fmt.Fprintf(&b, "%-12s %-13s %10.1f %10.1f %10.1f %+12.1f %10.1f\n", a.name, m.name,
				t.first/m.unit, t.last/m.unit, t.most/m.unit, t.slope/m.unit, t.allowed/m.unit)
			if t.grows() {
				grown = append(grown, fmt.Sprintf("%s: %s rose from %.1f to %.1f, allowed are %.1f more",
					a.name, m.name, t.first/m.unit, t.last/m.unit, t.allowed/m.unit))
			}
		}
	}
	return b.String(), grown
}

// A measure that swings is level, one that creeps is not, and outliers hide nothing.
func TestTrend(t *testing.T) {
	goroutines := measures()[0]
	for name, c := range map[string]struct {
		value func(i int) int
		grows bool
	}{
		"level":    {func(i int) int { return 500 }, false},
		"swings":   {func(i int) int { return 500 + 60*(i%3) }, false},
		"falls":    {func(i int) int { return 900 - 2*i }, false},
		"creeps":   {func(i int) int { return 500 + 2*i }, true},
		"steps":    {func(i int) int { return 500 + 300*(i/150) }, true},
		"outliers": {func(i int) int { return 500 + 2*i + 5000*(i%10/9) }, true},
		"fills":    {func(i int) int { return 500 - max(0, 200-10*i) }, false},
	} {
		var samples []sample
		for i := range 240 {
			s := sample{at: time.Duration(i) * time.Second}
			s.Goroutines = c.value(i)
			samples = append(samples, s)
		}
		if got := trendOf(samples, goroutines); got.grows() != c.grows {
			t.Errorf("%s: grows %v, want %v: %+v", name, got.grows(), c.grows, got)
		}
	}
}
