package inspect

import (
	"context"
	"log/slog"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// lookAtMemory is how often WatchMemory looks; a look costs microseconds.
	lookAtMemory = 250 * time.Millisecond
	// Marks of the limit, in percent: memory is short from the first on until it is below
	// the second.
	shortFrom, shortUntil = 75, 65
)

// SetShort tells the Store that the process is short of memory, or is not any more. What
// is kept for people to look at goes first: while memory is short nothing is kept, and
// what had been kept of exchanges that have ended is forgotten.
func (s *Store) SetShort(short bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.short = short
	if short {
		s.shed(0)
	}
}

// WatchMemory calls SetShort as the process comes near the Go runtime's memory limit
// (GOMEMLIMIT), until ctx ends. Without a limit it returns at once.
func (s *Store) WatchMemory(ctx context.Context, log *slog.Logger) {
	limit := debug.SetMemoryLimit(-1)
	if limit == math.MaxInt64 || s.Off() {
		return
	}
	defer s.SetShort(false)
	tick := time.NewTicker(lookAtMemory)
	defer tick.Stop()
	for was := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := nextShort(was, memoryInUse(), limit)
		if now != was {
			s.SetShort(now)
			log.WarnContext(ctx, "memory is short: captured requests were forgotten, or it suffices again", slog.String("obj", "web"), slog.Bool("short", now), slog.Int64("limit_bytes", limit))
		}
		was = now
	}
}

func nextShort(was bool, used, limit int64) bool {
	mark := int64(shortFrom)
	if was {
		mark = shortUntil
	}
	return used/100 >= limit/100*mark/100
}

// memoryInUse is the heap that lived at the last collection, and what the runtime needs
// besides. Garbage is not counted: the collector keeps that below the limit by itself.
func memoryInUse() int64 {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/memory/classes/metadata/other:bytes"}}
	metrics.Read(samples)
	var used uint64
	for _, sample := range samples {
		used += sample.Value.Uint64()
	}
	return int64(used)
}
