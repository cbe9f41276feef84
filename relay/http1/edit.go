package http1

import (
	"slices"

	"golang.org/x/net/http/httpguts"
)

// Copy makes h a copy of from, whose lines it shares but not their list: editing h leaves
// from as it is. The memory of h's list is used again.
func (h *Head) Copy(from *Head) {
	lines := append(h.Lines[:0], from.Lines...)
	*h = *from
	h.Lines = lines
}

// Copy makes r a copy of from, as Head.Copy does.
func (r *Request) Copy(from *Request) {
	lines := r.Lines
	*r = *from
	r.Lines = lines
	r.Head.Copy(&from.Head)
}

// Settle drops what Append would drop, as far as Connection names it, and Connection
// itself: what is added afterwards cannot be named by it. keep tells which other lines
// stay; nil: all.
func (h *Head) Settle(keep func(l *Line) bool) {
	kept := h.Lines[:0]
	for i := range h.Lines {
		if l := &h.Lines[i]; h.stays(l, keep) {
			kept = append(kept, *l)
		}
	}
	// Connection is asked until every other line was.
	kept = slices.DeleteFunc(kept, func(l Line) bool { return l.Field == Connection })
	clear(h.Lines[len(kept):])
	h.Lines = kept
	h.nominates = false
	h.look()
}

// stays tells whether Settle keeps a line. Those of the connection are never written as
// they came.
func (h *Head) stays(l *Line, keep func(l *Line) bool) bool {
	if l.Field.HopByHop() || l.Field == Host || l.Field == ContentLength {
		return true
	}
	return !h.Nominated(l.Name) && (keep == nil || keep(l))
}

// SpellPragma adds "Cache-Control: no-cache" where a head says the same in HTTP/1.0's
// words only (RFC 9111 §5.4). net/http does so with every head that it reads.
func (h *Head) SpellPragma() {
	pragma := false
	for i := len(h.Lines) - 1; i >= 0; i-- {
		switch l := &h.Lines[i]; {
		case equalFold(l.Name, "cache-control"):
			return
		case equalFold(l.Name, "pragma"):
			pragma = string(l.Value) == "no-cache" // the first line counts
		}
	}
	if pragma {
		h.Add("Cache-Control", "no-cache")
	}
}

// Remove drops all lines of a name, whatever its case.
func (h *Head) Remove(name string) {
	h.Lines = slices.DeleteFunc(h.Lines, func(l Line) bool { return foldedEqual(l.Name, name) })
	h.look()
}

// Add adds a line at the end; false means that it would be none, and nothing was done.
// Framing cannot be changed by it.
func (h *Head) Add(name, value string) bool {
	raw := make([]byte, 0, len(name)+2+len(value))
	raw = append(append(append(raw, name...), ": "...), value...)
	if len(name) == 0 || !httpguts.ValidHeaderFieldName(name) {
		return false
	}
	l, problem := parseLine(raw)
	if problem != "" || l.Field.HopByHop() || l.Field == Host || l.Field == ContentLength {
		return false
	}
	h.Lines = append(h.Lines, l)
	h.seen |= 1 << l.Field
	return true
}

// SetValue gives a line another value, which must be a valid one.
func (l *Line) SetValue(value string) {
	raw := make([]byte, 0, len(l.Name)+2+len(value))
	raw = append(append(append(raw, l.Name...), ": "...), value...)
	l.Raw, l.Value = raw, raw[len(raw)-len(value):]
}

// look notes again which fields there are.
func (h *Head) look() {
	h.seen = 0
	for i := range h.Lines {
		h.seen |= 1 << h.Lines[i].Field
	}
}

// BodyLength is the length of the body that follows, -1 where only its end tells.
func (h *Head) BodyLength() int64 {
	switch h.Framing {
	case None:
		return 0
	case Length:
		return h.Length
	}
	return -1
}

// ValidTarget tells whether a request may be sent with this target, a path with or
// without a query.
func ValidTarget(target string) bool {
	return len(target) > 0 && target[0] == '/' && all([]byte(target), inTarget) && checkPath([]byte(target)) == ""
}

// foldedEqual compares two names without regard to ASCII case.
func foldedEqual(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i := range b {
		if lower(b[i]) != lower(name[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
