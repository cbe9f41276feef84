package gate

import "iter"

// HeaderName is the header that is for gates alone; the edge never passes it on.
const HeaderName = "Postern-Authorization"

// Header is a request's on its way to the service.
type Header interface {
	All() iter.Seq2[string, string]
	Values(name string) []string
	Add(name, value string)
	Remove(name string)
}

// Strip takes off what was the gate's own, and of a preflight that passes all that a
// browser would not send. Everything else stays byte for byte.
func (o *Outcome) Strip(h Header) {
	if o.preflight {
		stripMisleading(h)
		return
	}
	if o.own {
		h.Remove("Authorization")
	}
	stripCookie(h, o.cookieName)
}

func stripMisleading(h Header) {
	names := map[string]bool{}
	for name := range h.All() {
		if misleading(name) {
			names[name] = true
		}
	}
	for name := range names {
		h.Remove(name)
	}
}

// stripCookie removes the cookies of a name; lines that have none are as they were.
func stripCookie(h Header, name string) {
	lines := h.Values("Cookie")
	kept, changed := make([]string, 0, len(lines)), false
	for _, line := range lines {
		rest, same := withoutCookie(line, name)
		if changed = changed || !same; rest != "" || same {
			kept = append(kept, rest)
		}
	}
	if !changed {
		return
	}
	h.Remove("Cookie")
	for _, line := range kept {
		h.Add("Cookie", line)
	}
}
