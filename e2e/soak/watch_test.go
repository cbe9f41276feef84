package soak_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// measure is one thing that must not grow.
type measure struct {
	name  string
	of    func(program.Holding) float64
	unit  float64 // in which it is printed
	slack float64 // growth that is noise, whatever the level
	rest  float64 // what may be left when the load has gone
}

// measures of every process. The slack under load covers the swing of visits in
// flight, and further carriers, which are made when the machine is slow; what may be
// left at rest covers what is made once and kept (a resolver, a
// pool of the runtime's, session tickets), not what comes with each visit.
func measures() []measure {
	return []measure{
		{"goroutines", func(h program.Holding) float64 { return float64(h.Goroutines) }, 1, 150, 6},
		{"descriptors", func(h program.Holding) float64 { return float64(h.Descriptors) }, 1, 80, 4},
		{"heap MiB", func(h program.Holding) float64 { return float64(h.Heap) }, 1 << 20, 8 << 20, 3 << 20},
		{"resident MiB", func(h program.Holding) float64 { return float64(h.Resident) }, 1 << 20, 32 << 20, 0},
	}
}

// sample is what one process held at a moment of the run.
type sample struct {
	at time.Duration
	program.Holding
}

// record gathers the samples of all processes.
type record struct {
	*stage
	samples map[string][]sample
}

func newRecord(s *stage) *record { return &record{s, map[string][]sample{}} }

func (r *record) take(at time.Duration) error {
	for _, a := range r.watched {
		h, err := a.holding()
		if err != nil {
			if a.process.Exited() {
				err = fmt.Errorf("the %s ended: %w", a.name, err)
			}
			return err
		}
		r.samples[a.name] = append(r.samples[a.name], sample{at, h})
	}
	return nil
}

// line is the last sample in one line.
func (r *record) line() string {
	var b strings.Builder
	for _, a := range r.watched {
		if all := r.samples[a.name]; len(all) > 0 {
			h := all[len(all)-1].Holding
			fmt.Fprintf(&b, "  %s: %d gor %d fds %.1f heap %.0f rss", a.name, h.Goroutines, h.Descriptors,
				float64(h.Heap)/(1<<20), float64(h.Resident)/(1<<20))
		}
	}
	return b.String()
}

// rest reads what every process holds now.
func (s *stage) rest() (map[string]program.Holding, error) {
	now := map[string]program.Holding{}
	for _, a := range s.watched {
		h, err := a.holding()
		if err != nil {
			return nil, err
		}
		now[a.name] = h
	}
	return now, nil
}

// atRest is the table of what was held before the load and after it.
func (s *stage) atRest(before, after map[string]program.Holding) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %-13s %10s %10s\n", "process", "held", "before", "after")
	for _, a := range s.watched {
		for _, m := range measures() {
			fmt.Fprintf(&b, "%-12s %-13s %10.1f %10.1f\n", a.name, m.name, m.of(before[a.name])/m.unit, m.of(after[a.name])/m.unit)
		}
	}
	return b.String()
}

// settle waits until nothing more than before is held, or says what is left. The
// agents' heap is not asked about: nothing makes an idle process collect its garbage.
func (s *stage) settle(before map[string]program.Holding, limit time.Duration) error {
	return program.Eventually(limit, func() error {
		<-time.After(time.Second)
		now, err := s.rest()
		if err != nil {
			return err
		}
		var left []error
		for _, a := range s.watched {
			for _, m := range measures() {
				was, is := m.of(before[a.name]), m.of(now[a.name])
				asked := m.rest > 0 && (a.trace == nil || !strings.HasPrefix(m.name, "heap"))
				if asked && is > was+m.rest {
					left = append(left, fmt.Errorf("%s: %.1f %s at rest before the load, %.1f after it", a.name, was/m.unit, m.name, is/m.unit))
				}
			}
		}
		if open := s.service.open.Load(); open != 0 {
			left = append(left, fmt.Errorf("service: %d requests have not ended", open))
		}
		return errors.Join(left...)
	})
}
