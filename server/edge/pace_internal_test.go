package edge

import (
	"math"
	"testing"
	"time"
)

// What a visitor has taken since it was last looked at may be terabytes.
func TestPatienceEarnsAtAnyRate(t *testing.T) {
	for _, rate := range []int64{0, 1, 500, 1 << 20} {
		for _, n := range []int64{1, 1 << 10, 10 << 30, 1 << 50, math.MaxInt64} {
			p := pace{grace: time.Second, most: 24 * time.Hour, rate: rate}.begin()
			p.spend(p.left)
			p.earn(n)
			want := p.most
			if seconds := float64(n) / float64(rate); rate > 0 && seconds < p.most.Seconds() {
				want = time.Duration(seconds * float64(time.Second))
			}
			if (p.left - want).Abs() > time.Microsecond {
				t.Errorf("%d bytes at %d a second earn %v, want %v", n, rate, p.left, want)
			}
		}
	}
}
