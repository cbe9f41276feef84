package soak_test

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

var (
	length = flag.Duration("soak", 4*time.Minute, "how long the load goes on")
	rate   = flag.Float64("rate", 150, "short visits a second")
	logs   = flag.String("logs", "", "directory that keeps all that the processes print")
)

const (
	sampleEvery = 5 * time.Second
	// settleTime is what the processes have to return to what they held before. Most
	// of it is the idle time of kept connections and of further carriers, 45 to 55 s
	// together; the rest is for a machine that is busy with other tests.
	settleTime = 90 * time.Second
	// calmSeconds without a change are rest; a trace of the agents comes every two.
	calmSeconds = 5
)

// B5-27
func TestSoak(t *testing.T) {
	lasting := *length
	if testing.Short() {
		lasting = min(lasting, 30*time.Second)
	}
	s := raise(t)
	before := calm(t, s)
	r := newRecord(s)
	l := newLoad(s, *rate, min(time.Minute, lasting/4))
	s.tally.started = time.Now()
	l.start()
	watch(t, r, lasting)
	took := time.Since(s.tally.started)
	l.end()
	ending := time.Since(s.tally.started) - took
	began := time.Now()
	unsettled := s.settle(before, settleTime)
	after, err := s.rest()
	if err := errors.Join(unsettled, err); err != nil {
		t.Errorf("after the load: %v", err)
		explain(t, s)
	}
	t.Logf("the last visit ended %v after the load; %v later there was rest:\n%s",
		ending.Round(time.Second), time.Since(began).Round(time.Second), s.atRest(before, after))
	table, grown := r.verdict()
	total := s.tally.total()
	t.Logf("%v, %.0f visits a second\n\n%s\n%s", took.Round(time.Second), float64(total.good+total.foreseen)/took.Seconds(), s.tally, table)
	for _, line := range grown {
		t.Error(line)
	}
	judge(t, l, took)
}

// calm makes one visit of each kind, so that what is made once has been made, and
// returns what is held when nothing moves any more.
func calm(t *testing.T, s *stage) map[string]program.Holding {
	t.Helper()
	l := newLoad(s, 1, time.Second)
	for _, v := range l.visits() {
		if err := v.make(0); err != nil {
			t.Fatalf("%s, before the load: %v", v.kind, err)
		}
	}
	l.end()
	var last map[string]program.Holding
	still := 0
	err := program.Eventually(settleTime, func() error {
		<-time.After(time.Second)
		now, err := s.rest()
		if err != nil {
			return err
		}
		if still++; moved(last, now) {
			last, still = now, 0
		}
		if still < calmSeconds {
			return fmt.Errorf("something still moves: %+v", now)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// moved tells whether a process holds more or less than before, apart from what the
// questions themselves leave behind for a moment.
func moved(before, now map[string]program.Holding) bool {
	const asking = 2
	apart := func(a, b int) bool { return max(a, b)-min(a, b) > asking }
	for name, h := range now {
		if apart(h.Goroutines, before[name].Goroutines) || apart(h.Descriptors, before[name].Descriptors) {
			return true
		}
	}
	return false
}

// watch samples until the load has lasted long enough, and reports once a minute.
func watch(t *testing.T, r *record, lasting time.Duration) {
	t.Helper()
	began := time.Now()
	over := time.After(lasting)
	tick := time.NewTicker(min(sampleEvery, lasting/30))
	defer tick.Stop()
	report := time.NewTicker(min(time.Minute, lasting/3))
	defer report.Stop()
	done := 0
	for last := began; ; {
		select {
		case <-over:
			return
		case <-tick.C:
			if err := r.take(time.Since(began)); err != nil {
				t.Fatal(err)
			}
		case <-report.C:
			c := r.tally.total()
			t.Logf("%6v %4.0f/s, %d in flight, %d good, %d foreseen, %d failed, %d held;%s", time.Since(began).Round(time.Second),
				float64(c.good+c.foreseen-done)/time.Since(last).Seconds(), r.tally.inFlight.Load(), c.good, c.foreseen, c.failed, c.held, r.line())
			done, last = c.good+c.foreseen, time.Now()
		}
	}
}

// judge fails the test for every visit that nothing explains, and for a load that
// was not what it claims.
func judge(t *testing.T, l *load, took time.Duration) {
	t.Helper()
	total := l.tally.total()
	if total.failed > 0 {
		t.Errorf("%d visits failed:\n%s", total.failed, l.tally)
	}
	for _, v := range l.visits() {
		if c := l.tally.of(v.kind); c.good == 0 {
			t.Errorf("%s: none of %+v went well", v.kind, c)
		}
	}
	for _, c := range l.streams() {
		if ended := l.tally.of(c.kind); ended.good+ended.foreseen == 0 {
			t.Errorf("%s: none of %+v went well", c.kind, ended)
		}
	}
	for line := range strings.Lines(l.server.Process.Output()) {
		if strings.Contains(line, `"level":"ERROR"`) {
			t.Errorf("the server logged an error: %s", line)
		}
	}
	for _, e := range l.churn() {
		if c := l.tally.of(e.kind); c.good == 0 && took > 2*e.every {
			t.Errorf("%s: never happened", e.kind)
		}
	}
	// An agent that is killed is away for a second and what it takes to start, of
	// every twenty.
	if c := l.tally.of("mortal agent"); c.foreseen > (c.good+c.foreseen)/4 {
		t.Errorf("the mortal agent failed %d of %d visits", c.foreseen, c.good+c.foreseen)
	}
	if planned := l.rate * took.Seconds(); float64(total.good) < planned/2 {
		t.Errorf("%d visits went well, planned were %.0f: the machine is too slow for the load", total.good, planned)
	}
}
