package server

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-dev/postern/server/edge"
)

// memory is what is known about this process's memory.
type memory struct {
	limit atomic.Int64 // 0 is none
	used  atomic.Int64
}

const (
	// lookAtMemory is how often it is looked at; a look costs microseconds.
	lookAtMemory = 250 * time.Millisecond
	// collectAfter is how long pressure may last without a collection. What is used is
	// only known after one, and a server that refuses connections may have no reason of
	// its own to collect.
	collectAfter = 2 * time.Second
)

// Marks of the limit, in percent: pressure begins at the first and ends at the second,
// so that it does not come and go with every request.
const (
	criticalFrom, criticalUntil = 88, 80
	highFrom, highUntil         = 75, 65
)

// watchMemory tells the edge how short of memory the process is, measured against the
// Go runtime's memory limit (GOMEMLIMIT). Where nobody set one, the limit of the
// control group, if it has any, becomes the runtime's too, so that it collects in time.
func (s *Server) watchMemory(ctx context.Context) error {
	limit, source := debug.SetMemoryLimit(-1), "GOMEMLIMIT"
	if limit == math.MaxInt64 {
		group, ok := cgroupLimit(os.DirFS("/"))
		if !ok {
			<-ctx.Done()
			return nil
		}
		limit, source = group/100*cgroupShare, "control group"
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	}
	limit = max(limit, 1) // GOMEMLIMIT=0 is allowed, and a share of it is asked for
	s.memory.limit.Store(limit)
	s.log.InfoContext(ctx, "memory is limited", "limit_bytes", limit, "set_by", source)
	defer s.edge.SetPressure(edge.PressureNone)
	tick := time.NewTicker(lookAtMemory)
	defer tick.Stop()
	var look collections
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.lookAtMemory(ctx, &look, limit)
		}
	}
}

// lookAtMemory measures once, and acts.
func (s *Server) lookAtMemory(ctx context.Context, look *collections, limit int64) {
	used := look.measure()
	s.memory.used.Store(used)
	was := s.edge.Pressure()
	now := nextPressure(was, int(used*100/limit))
	if now != was {
		s.edge.SetPressure(now)
		s.logPressure(ctx, was, now, used, limit)
	}
	if now == edge.PressureCritical {
		cut := s.edge.Relieve()
		s.log.DebugContext(ctx, "visitors who kept the server waiting were cut to free memory", "connections", cut)
	}
	if now != edge.PressureNone && time.Since(look.last) > collectAfter {
		runtime.GC()
	}
}

func (s *Server) logPressure(ctx context.Context, was, now edge.Pressure, used, limit int64) {
	switch {
	case now == edge.PressureNone:
		s.log.InfoContext(ctx, "memory suffices again", "used_bytes", used, "limit_bytes", limit)
	case now == edge.PressureHigh && was == edge.PressureNone:
		s.log.WarnContext(ctx, "memory is short: new connections are refused", "used_bytes", used, "limit_bytes", limit)
	case now == edge.PressureHigh:
		s.log.WarnContext(ctx, "memory is short, but no longer critically", "used_bytes", used, "limit_bytes", limit)
	default:
		s.log.WarnContext(ctx, "memory is critically short: visitors who keep the server waiting are cut", "used_bytes", used, "limit_bytes", limit)
	}
}

// nextPressure is the level at a percentage of the limit.
func nextPressure(was edge.Pressure, percent int) edge.Pressure {
	switch {
	case percent >= criticalFrom, was == edge.PressureCritical && percent >= criticalUntil:
		return edge.PressureCritical
	case percent >= highFrom, was != edge.PressureNone && percent >= highUntil:
		return edge.PressureHigh
	}
	return edge.PressureNone
}

// collections follows the garbage collector.
type collections struct {
	samples []metrics.Sample
	count   uint64
	last    time.Time // when count changed
}

// measure is what the process needs: the heap that lives, as the last collection found
// it, and what the runtime needs besides. Garbage is not counted: however much there
// is, the collector keeps it below the limit by itself.
func (c *collections) measure() int64 {
	if c.samples == nil {
		for _, name := range []string{"/gc/heap/live:bytes", "/gc/cycles/total:gc-cycles", "/memory/classes/total:bytes",
			"/memory/classes/heap/released:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/unused:bytes",
			"/memory/classes/heap/free:bytes"} {
			c.samples = append(c.samples, metrics.Sample{Name: name})
		}
	}
	metrics.Read(c.samples)
	value := func(i int) int64 { return int64(c.samples[i].Value.Uint64()) }
	if count := c.samples[1].Value.Uint64(); count != c.count || c.last.IsZero() {
		c.count, c.last = count, time.Now()
	}
	besides := value(2) - value(3) - value(4) - value(5) - value(6)
	return value(0) + max(0, besides)
}

// registerMemory makes the numbers visible.
func (s *Server) registerMemory() {
	gauge := func(name, help string, value func() float64) {
		s.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("postern_memory_limit_bytes", "What the process may need of memory; 0 is no limit.",
		func() float64 { return float64(s.memory.limit.Load()) })
	gauge("postern_memory_used_bytes", "What it needs, without garbage; measured where there is a limit.",
		func() float64 { return float64(s.memory.used.Load()) })
	gauge("postern_memory_pressure", "0: enough; 1: new connections are refused; 2: visitors who keep the server waiting are cut.",
		func() float64 { return float64(s.edge.Pressure()) })
}
