package memory

import (
	"math"
	"os"
	"runtime/debug"
)

// Limit is the most that the Go runtime tries to need.
type Limit struct {
	Bytes  int64  // at least 1
	Source string // "GOMEMLIMIT" or "control group"
}

// Adopt finds the limit: the runtime's own (GOMEMLIMIT), else a share of the control
// group's, which becomes the runtime's so that it collects in time. ok is false where
// there is neither. restore undoes what Adopt changed.
func Adopt() (limit Limit, restore func(), ok bool) {
	restore = func() {}
	limit = Limit{debug.SetMemoryLimit(-1), "GOMEMLIMIT"}
	if limit.Bytes == math.MaxInt64 {
		group, ok := cgroupLimit(os.DirFS("/"))
		if !ok {
			return Limit{}, restore, false
		}
		limit = Limit{group / 100 * cgroupShare, "control group"}
		before := debug.SetMemoryLimit(limit.Bytes)
		restore = func() { debug.SetMemoryLimit(before) }
	}
	limit.Bytes = max(limit.Bytes, 1) // GOMEMLIMIT=0 is allowed, and a share of it is asked for
	return limit, restore, true
}
