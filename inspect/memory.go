package inspect

import (
	"context"
	"log/slog"
	"time"

	"github.com/postern-dev/postern/internal/memory"
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

// WatchMemory calls SetShort as the process comes near its memory limit, GOMEMLIMIT or
// the control group's, until ctx ends. Without a limit it returns at once.
func (s *Store) WatchMemory(ctx context.Context, log *slog.Logger) {
	if s.Off() {
		return
	}
	limit, restore, limited := memory.Adopt()
	if !limited {
		return
	}
	defer restore()
	defer s.SetShort(false)
	var need memory.Need
	tick := time.NewTicker(lookAtMemory)
	defer tick.Stop()
	for was := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := nextShort(was, need.Measure(), limit.Bytes)
		if now != was {
			s.SetShort(now)
			log.WarnContext(ctx, "memory is short: captured requests were forgotten, or it suffices again", slog.String("obj", "web"), slog.Bool("short", now), slog.Int64("limit_bytes", limit.Bytes))
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
