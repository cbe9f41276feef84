package breaker_test

import (
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/server/policy/breaker"
)

func TestSettings(t *testing.T) {
	with := func(change func(*breaker.Settings)) breaker.Settings {
		s := breaker.Default()
		change(&s)
		return s
	}
	for _, test := range []struct {
		settings breaker.Settings
		wrong    string
	}{
		{breaker.Default(), ""},
		{breaker.Settings{Threshold: 0, Volume: 1, Window: time.Second, Tripped: time.Second}, ""},
		{breaker.Settings{Threshold: 1, Volume: breaker.MostVolume, Window: 2 * time.Minute, Tripped: 2 * time.Minute}, ""},
		{with(func(s *breaker.Settings) { s.Threshold = 1.1 }), "error_threshold is 1.1"},
		{with(func(s *breaker.Settings) { s.Threshold = -0.1 }), "error_threshold is -0.1"},
		{with(func(s *breaker.Settings) { s.Threshold = math.NaN() }), "error_threshold is NaN"},
		{with(func(s *breaker.Settings) { s.Volume = 0 }), "volume_threshold is 0"},
		{with(func(s *breaker.Settings) { s.Volume = breaker.MostVolume + 1 }), "volume_threshold is 2000000001"},
		{with(func(s *breaker.Settings) { s.Window = 999 * time.Millisecond }), "window_duration is 999ms"},
		{with(func(s *breaker.Settings) { s.Window = 121 * time.Second }), "window_duration is 2m1s"},
		{with(func(s *breaker.Settings) { s.Tripped = 0 }), "tripped_duration is 0s"},
		{with(func(s *breaker.Settings) { s.Tripped = time.Hour }), "tripped_duration is 1h0m0s"},
	} {
		_, err := breaker.New(test.settings)
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%+v: %v, want %q", test.settings, err, test.wrong)
		}
	}
}

// bench is a Breaker under test, in a bubble's time.
type bench struct {
	*testing.T
	*breaker.Breaker
}

func try(t *testing.T, settings breaker.Settings, script func(bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b, err := breaker.New(settings)
		if err != nil {
			t.Fatal(err)
		}
		script(bench{t, b})
	})
}

// requests sends some one after the other, all of which pass and end alike.
func (b bench) requests(n int, failed bool) {
	b.Helper()
	for range n {
		p, ok, _ := b.Enter()
		if !ok {
			b.Fatal("refused")
		}
		b.Leave(p, failed)
	}
}

func (b bench) refused(retry time.Duration) {
	b.Helper()
	if _, ok, after := b.Enter(); ok || after != retry {
		b.Errorf("passes: %v, retry after %v, want %v", ok, after, retry)
	}
}

func (b bench) is(want breaker.State) {
	b.Helper()
	if got := b.State(); got != want {
		b.Errorf("state %d, want %d", got, want)
	}
}

func TestOpensAtTheThreshold(t *testing.T) {
	try(t, breaker.Default(), func(b bench) {
		b.requests(9, true)
		b.is(breaker.Closed) // too few to tell
		b.requests(1, true)
		b.is(breaker.Open)
		b.refused(10 * time.Second)
		time.Sleep(4 * time.Second)
		b.refused(6 * time.Second)
	})
	try(t, breaker.Default(), func(b bench) {
		b.requests(6, false)
		b.requests(5, true)
		b.is(breaker.Closed) // 5 of 11
		b.requests(1, true)
		b.is(breaker.Open) // 6 of 12
	})
	// A threshold of 0 needs a failure nevertheless.
	try(t, breaker.Settings{Threshold: 0, Volume: 2, Window: time.Second, Tripped: time.Second}, func(b bench) {
		b.requests(100, false)
		b.is(breaker.Closed)
		b.requests(1, true)
		b.is(breaker.Open)
	})
}

// Only what ended within the window counts.
func TestWindowSlides(t *testing.T) {
	try(t, breaker.Default(), func(b bench) {
		b.requests(9, true)
		time.Sleep(10 * time.Second)
		b.requests(9, true)
		b.is(breaker.Closed)
		time.Sleep(9 * time.Second)
		b.requests(1, true)
		b.is(breaker.Open)
	})
	// One bucket after the other leaves it.
	try(t, breaker.Default(), func(b bench) {
		for range 100 {
			b.requests(1, false)
			b.requests(1, false)
			time.Sleep(time.Second)
		}
		b.requests(17, true) // with 18 good ones of the last 9 buckets
		b.is(breaker.Closed)
		b.requests(1, true)
		b.is(breaker.Open)
	})
	// A pause of many windows forgets all.
	try(t, breaker.Default(), func(b bench) {
		b.requests(9, true)
		time.Sleep(time.Hour)
		b.requests(9, true)
		b.is(breaker.Closed)
	})
}

func TestRecovers(t *testing.T) {
	try(t, breaker.Default(), func(b bench) {
		b.requests(10, true)
		time.Sleep(10 * time.Second)
		b.is(breaker.HalfOpen)
		var passes []breaker.Pass
		for range 3 {
			p, ok, _ := b.Enter()
			if !ok {
				t.Fatal("a trial is refused")
			}
			passes = append(passes, p)
		}
		b.refused(10 * time.Second) // while the trials are out
		b.Leave(passes[0], false)
		b.Leave(passes[1], false)
		b.refused(10 * time.Second)
		b.is(breaker.HalfOpen)
		b.Leave(passes[2], false)
		b.is(breaker.Closed)
		b.requests(9, true) // what was before is forgotten
		b.is(breaker.Closed)
	})
}

func TestFailedTrialOpensAgain(t *testing.T) {
	try(t, breaker.Default(), func(b bench) {
		b.requests(10, true)
		time.Sleep(15 * time.Second)
		good, _, _ := b.Enter()
		late, _, _ := b.Enter()
		b.requests(1, true)
		b.is(breaker.Open)
		b.refused(10 * time.Second)
		time.Sleep(10 * time.Second)
		b.requests(2, false)
		b.Leave(good, false) // those of the trials before do not count among these
		b.Leave(late, true)
		b.is(breaker.HalfOpen)
		b.requests(1, false)
		b.is(breaker.Closed)
	})
}

// Requests that began before the Breaker opened say nothing about the upstream as it is.
func TestLateOutcomesDoNotCount(t *testing.T) {
	try(t, breaker.Default(), func(b bench) {
		early, _, _ := b.Enter()
		b.requests(10, true)
		time.Sleep(10 * time.Second)
		b.requests(2, false)
		b.Leave(early, true)
		b.requests(1, false)
		b.is(breaker.Closed)
	})
}

// Trials that never end do not keep the Breaker half open for ever.
func TestTrialsThatVanish(t *testing.T) {
	try(t, breaker.Default(), func(b bench) {
		b.requests(10, true)
		time.Sleep(10 * time.Second)
		for range 3 {
			b.Enter()
		}
		b.refused(10 * time.Second)
		time.Sleep(10 * time.Second)
		b.requests(3, false)
		b.is(breaker.Closed)
	})
}

// A trial of which nothing can be said is another's turn.
func TestAbandonedTrial(t *testing.T) {
	try(t, breaker.Default(), func(b bench) {
		early, _, _ := b.Enter()
		b.requests(10, true)
		time.Sleep(10 * time.Second)
		for range 10 {
			p, ok, _ := b.Enter()
			if !ok {
				t.Fatal("refused")
			}
			b.Abandon(p)
			b.Abandon(early) // not one of these trials
		}
		b.requests(3, false)
		b.is(breaker.Closed)
	})
}

// However many ask at once, only so many trials pass.
func TestTrialsAreBounded(t *testing.T) {
	try(t, breaker.Default(), func(b bench) {
		b.requests(10, true)
		time.Sleep(10 * time.Second)
		var passed atomic.Int64
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if _, ok, _ := b.Enter(); ok {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		if passed.Load() != 3 {
			t.Errorf("%d trials", passed.Load())
		}
	})
}

func BenchmarkBreaker(b *testing.B) {
	one, err := breaker.New(breaker.Default())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p, _, _ := one.Enter()
			one.Leave(p, false)
		}
	})
}
