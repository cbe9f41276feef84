package server

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postern-dev/postern/internal/memory"
	"github.com/postern-dev/postern/server/edge"
)

// needed is what is known about this process's memory.
type needed struct {
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
	limit, restore, ok := memory.Adopt()
	if !ok {
		<-ctx.Done()
		return nil
	}
	defer restore()
	s.memory.limit.Store(limit.Bytes)
	s.log.InfoContext(ctx, "memory is limited", "limit_bytes", limit.Bytes, "set_by", limit.Source)
	defer s.edge.SetPressure(edge.PressureNone)
	tick := time.NewTicker(lookAtMemory)
	defer tick.Stop()
	var need memory.Need
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.lookAtMemory(ctx, &need, limit.Bytes)
		}
	}
}

// lookAtMemory measures once, and acts.
func (s *Server) lookAtMemory(ctx context.Context, need *memory.Need, limit int64) {
	used := need.Measure()
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
	if now != edge.PressureNone && time.Since(need.Collected) > collectAfter {
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

// tendMemory gives back what bursts have left, and spares collections.
func tendMemory(ctx context.Context) error {
	memory.Tend(ctx)
	return nil
}
