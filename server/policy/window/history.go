package window

// mostGroups is how many parts of a window are told apart.
const mostGroups = 60

// history is when something passed within the window. Times are nanoseconds since the
// Counter's beginning. The zero value is empty.
type history struct {
	total  int64
	groups []group // the oldest first
}

// group is what passed in one slot: all of it counts as if it had come with the last.
type group struct{ last, count int64 }

// latest is when something last passed.
func (h *history) latest() int64 {
	if len(h.groups) == 0 {
		return 0
	}
	return h.groups[len(h.groups)-1].last
}

// forget drops the groups that ended at the horizon or before.
func (h *history) forget(horizon int64) {
	gone := 0
	for gone < len(h.groups) && h.groups[gone].last <= horizon {
		h.total -= h.groups[gone].count
		gone++
	}
	if gone > 0 {
		h.groups = append(h.groups[:0], h.groups[gone:]...)
	}
}

// add counts one at a time that is not before the latest.
func (h *history) add(at, slot int64) {
	h.total++
	if n := len(h.groups); n > 0 && h.groups[n-1].last/slot == at/slot {
		h.groups[n-1] = group{at, h.groups[n-1].count + 1}
		return
	}
	h.groups = append(h.groups, group{at, 1})
}

// roomAt is when one more fits into a history that is full.
func (h *history) roomAt(limit Limit) int64 {
	left := h.total
	for _, g := range h.groups {
		if left -= g.count; left < limit.Capacity {
			return g.last + int64(limit.Rate)
		}
	}
	return h.latest() + int64(limit.Rate)
}

// copied is a history of its own with the same content.
func (h *history) copied() *history {
	return &history{total: h.total, groups: append([]group(nil), h.groups...)}
}

// cover raises h so that it holds in each slot at least what other holds.
func (h *history) cover(other *history, slot int64) {
	var all history
	mine, theirs := h.groups, other.groups
	for len(mine) > 0 || len(theirs) > 0 {
		var next group
		switch {
		case len(theirs) == 0 || len(mine) > 0 && mine[0].last/slot < theirs[0].last/slot:
			next, mine = mine[0], mine[1:]
		case len(mine) == 0 || theirs[0].last/slot < mine[0].last/slot:
			next, theirs = theirs[0], theirs[1:]
		default:
			next = group{max(mine[0].last, theirs[0].last), max(mine[0].count, theirs[0].count)}
			mine, theirs = mine[1:], theirs[1:]
		}
		all.groups = append(all.groups, next)
		all.total += next.count
	}
	*h = all
}
